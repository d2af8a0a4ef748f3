// Multi-head self-attention. Vaswani et al. 2017, section 3.2. For each row and head, with d features a head:
//
//   [Q K V] = x W_inᵀ + b_in,  P = softmax(Q Kᵀ / √d),  O = P V,  y = [O of all heads] W_outᵀ + b_out
//   dV = Pᵀ dO,  dP = dO Vᵀ,  dS = P (dP - Σ dP P) / √d,  dQ = dS K,  dK = dSᵀ Q
//
// Heads are never copied apart: a head's Q, K and V are strided parts of [Q K V], which oneDNN's products
// over the batch read and write in place. P grows with the square of the positions: it stands in memory for a
// block of rows only, and backward computes it again. (Dao et al. 2022, "FlashAttention", block it further.)
// Gradients take the place of what they are the gradients of.
#include <algorithm>
#include <cmath>

#include "base/multiversion.h"
#include "base/vector_math.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"
#include "models/cpu/products.h"
#include "models/cpu/row_blocks.h"

namespace regatta {
namespace {

// In place, `positions` rows of one head. Causal: row t has t + 1 values, and zeros behind them.
REGATTA_MULTIVERSION
void softmax_rows(float* scores, std::int64_t positions, bool causal, float scale) {
  for (std::int64_t t = 0; t < positions; ++t) {
    float* const row = scores + t * positions;
    const std::int64_t seen = causal ? t + 1 : positions;
    float largest = row[0];
#pragma omp simd reduction(max : largest)
    for (std::int64_t i = 0; i < seen; ++i) {
      largest = row[i] > largest ? row[i] : largest;
    }
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < seen; ++i) {
      row[i] = vector_exp((row[i] - largest) * scale);
      sum += row[i];
    }
    const float inverse = 1 / sum;
#pragma omp simd
    for (std::int64_t i = 0; i < seen; ++i) {
      row[i] *= inverse;
    }
    std::fill(row + seen, row + positions, 0.0F);
  }
}

// dP to dS in place. What a position does not see has P = 0, and so dS = 0.
REGATTA_MULTIVERSION
void softmax_gradients(const float* shares, float* gradients, std::int64_t positions, bool causal,
                       float scale) {
  for (std::int64_t t = 0; t < positions; ++t) {
    const float* const p = shares + t * positions;
    float* const d = gradients + t * positions;
    const std::int64_t seen = causal ? t + 1 : positions;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < seen; ++i) {
      sum += p[i] * d[i];
    }
#pragma omp simd
    for (std::int64_t i = 0; i < seen; ++i) {
      d[i] = p[i] * (d[i] - sum) * scale;
    }
    std::fill(d + seen, d + positions, 0.0F);
  }
}

class AttentionOperation final : public Operation {
 public:
  AttentionOperation(Planner& planner, const std::string& name, const Attention& attention, Tensor input)
      : rows_(planner.rows()),
        heads_(attention.heads),
        causal_(attention.causal),
        input_(std::move(input)),
        positions_(input_.shape.front()),
        features_(input_.shape.back()),
        scale_(1 / std::sqrt(static_cast<float>(features_ / heads_))),
        in_{name + ".in_proj_weight", name + ".in_proj_bias", features_, 3 * features_},
        out_{name + ".out_proj.weight", name + ".out_proj.bias", features_, features_},
        block_rows_(rows_of_block(
            rows_, heads_ * positions_ * positions_ * static_cast<std::int64_t>(sizeof(float)))),
        projected_(
            planner.allocate({positions_, 3 * features_}, plain_layout(rows_, {positions_, 3 * features_}))),
        mixed_(planner.allocate(input_.shape, input_.layout)),
        output_(planner.allocate(input_.shape, input_.layout)) {
    CHECK(input_.layout == plain_layout(rows_, input_.shape));
    planner.use(input_);
    output_.needs_gradient = true;
    add_projection(planner, forward_, in_, input_, projected_);
    const dnnl::memory shares = planner.temporary(scores(block_rows_));
    Products products(planner, forward_);
    for (const RowBlock& block : blocks_of(rows_, block_rows_)) {
      const dnnl::memory block_shares = planner.same_memory(shares, scores(block.rows));
      const Tensor values = heads_of(planner, projected_, 2, block);
      const Tensor mixed = heads_of(planner, mixed_, 0, block);
      add_shares(planner, products, forward_, block, block_shares);
      for (int lane = 0; lane < planner.lanes(); ++lane) {
        const auto index = static_cast<std::size_t>(lane);
        products.add(lane,
                     {.left = block_shares, .right = values.lanes[index], .result = mixed.lanes[index]});
      }
    }
    add_projection(planner, forward_, out_, mixed_, output_);
  }

  const Tensor& output() const { return output_; }

  // The calls run lane by lane, and a projection's dW comes before its dx.
  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient_like(output_, backward_);
    const Tensor mixed_gradient = planner.view(mixed_, mixed_.shape, mixed_.layout);
    add_projection_gradients(planner, backward_, out_, mixed_, output_gradient_, mixed_gradient);
    plan_backward_of_heads(planner, mixed_gradient);
    const Tensor input = planner.again(input_, backward_);
    Tensor input_gradient;
    if (input_.needs_gradient) {
      input_gradient = input.may_overwrite ? planner.view(input, input_.shape, input_.layout)
                                           : planner.allocate(input_.shape, input_.layout);
      planner.set_gradient(input_, input_gradient);
    }
    add_projection_gradients(planner, backward_, in_, input, projected_, input_gradient);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      in_bias_gradients_.push_back(planner.parameters().gradient(in_.bias, lane));
      out_bias_gradients_.push_back(planner.parameters().gradient(out_.bias, lane));
    }
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  Status backward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      const auto index = static_cast<std::size_t>(lane);
      backward_.run_lane(step, lane);
      column_sums(output_gradient_, lane, features_, out_bias_gradients_[index]);
      column_sums(projected_, lane, 3 * features_, in_bias_gradients_[index]);
    });
    return {};
  }

 private:
  // The scores, or P, of so many rows.
  Layout scores(std::int64_t rows) const { return plain_layout(rows, {heads_, positions_, positions_}); }
  Layout turned_scores(std::int64_t rows) const {
    return {{rows, heads_, positions_, positions_},
            dnnl::memory::data_type::f32,
            dnnl::memory::dims{heads_ * positions_ * positions_, positions_ * positions_, 1, positions_}};
  }

  // Of `width` features of each position those of each head: as [row, head, position, feature].
  Layout heads(std::int64_t rows, std::int64_t width) const {
    const std::int64_t size = features_ / heads_;
    return {{rows, heads_, positions_, size},
            dnnl::memory::data_type::f32,
            dnnl::memory::dims{positions_ * width, size, width, 1}};
  }
  Layout turned_heads(std::int64_t rows, std::int64_t width) const {
    const std::int64_t size = features_ / heads_;
    return {{rows, heads_, size, positions_},
            dnnl::memory::data_type::f32,
            dnnl::memory::dims{positions_ * width, size, 1, width}};
  }
  // The `which`-th block of features of a block of rows.
  Tensor heads_of(Planner& planner, const Tensor& tensor, std::int64_t which, const RowBlock& block) const {
    const std::int64_t width = tensor.shape.back();
    return planner.part(tensor, heads(block.rows, width),
                        block.begin * positions_ * width + which * features_);
  }
  Tensor turned_heads_of(Planner& planner, const Tensor& tensor, std::int64_t which,
                         const RowBlock& block) const {
    const std::int64_t width = tensor.shape.back();
    return planner.part(tensor, turned_heads(block.rows, width),
                        block.begin * positions_ * width + which * features_);
  }

  static float* floats(const dnnl::memory& memory) { return static_cast<float*>(memory.get_data_handle()); }

  // function(first element of a head's scores)
  template <class Function>
  void for_heads(const Step& step, const RowBlock& block, const Function& function) const {
    parallel_for(block.rows * heads_, step.threads,
                 [&](std::int64_t head) { function(head * positions_ * positions_); });
  }

  // P of a block of rows.
  void add_shares(Planner& planner, Products& products, CallSequence& calls, const RowBlock& block,
                  const dnnl::memory& shares) const {
    const Tensor queries = heads_of(planner, projected_, 0, block);
    const Tensor turned_keys = turned_heads_of(planner, projected_, 1, block);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      products.add(lane, {.left = queries.lanes[index], .right = turned_keys.lanes[index], .result = shares});
      calls.add(lane, [this, block, shares](const Step& step) {
        for_heads(step, block,
                  [&](std::int64_t at) { softmax_rows(floats(shares) + at, positions_, causal_, scale_); });
      });
    }
  }

  void plan_backward_of_heads(Planner& planner, const Tensor& mixed_gradient) {
    const dnnl::memory shares = planner.temporary(scores(block_rows_));
    const dnnl::memory score_gradients = planner.temporary(scores(block_rows_));
    const dnnl::memory query_gradients = planner.temporary(plain_layout(block_rows_, input_.shape));
    Products products(planner, backward_);
    for (const RowBlock& block : blocks_of(rows_, block_rows_)) {
      add_shares(planner, products, backward_, block, planner.same_memory(shares, scores(block.rows)));
      add_score_gradients(planner, products, block, mixed_gradient, shares, score_gradients);
      add_projected_gradients(planner, products, block, score_gradients, query_gradients);
    }
  }

  // dP, then, when V has been read, dV in its place, then dS in place of dP.
  void add_score_gradients(Planner& planner, Products& products, const RowBlock& block,
                           const Tensor& mixed_gradient, const dnnl::memory& shares,
                           const dnnl::memory& score_gradients) {
    const Tensor gradients = heads_of(planner, mixed_gradient, 0, block);
    const Tensor turned_values = turned_heads_of(planner, projected_, 2, block);
    const Tensor value_gradients = heads_of(planner, projected_, 2, block);
    const dnnl::memory turned_shares = planner.same_memory(shares, turned_scores(block.rows));
    const dnnl::memory share_gradients = planner.same_memory(score_gradients, scores(block.rows));
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      products.add(
          lane,
          {.left = gradients.lanes[index], .right = turned_values.lanes[index], .result = share_gradients});
      products.add(
          lane,
          {.left = turned_shares, .right = gradients.lanes[index], .result = value_gradients.lanes[index]});
      backward_.add(lane, [this, block, shares, score_gradients](const Step& step) {
        for_heads(step, block, [&](std::int64_t at) {
          softmax_gradients(floats(shares) + at, floats(score_gradients) + at, positions_, causal_, scale_);
        });
      });
    }
  }

  // dQ must wait aside until dK, in the place of K, has been computed from Q.
  void add_projected_gradients(Planner& planner, Products& products, const RowBlock& block,
                               const dnnl::memory& score_gradients, const dnnl::memory& query_gradients) {
    const Tensor queries = heads_of(planner, projected_, 0, block);
    const Tensor keys = heads_of(planner, projected_, 1, block);
    const dnnl::memory gradients = planner.same_memory(score_gradients, scores(block.rows));
    const dnnl::memory turned_gradients = planner.same_memory(score_gradients, turned_scores(block.rows));
    const dnnl::memory aside = planner.same_memory(query_gradients, heads(block.rows, features_));
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      products.add(lane, {.left = gradients, .right = keys.lanes[index], .result = aside});
      products.add(lane,
                   {.left = turned_gradients, .right = queries.lanes[index], .result = keys.lanes[index]});
      backward_.add(lane, [this, lane, block, aside](const Step& step) {
        parallel_for(block.rows * positions_, step.threads, [&](std::int64_t i) {
          std::copy_n(floats(aside) + i * features_, features_,
                      projected_.data(lane) + (block.begin * positions_ + i) * 3 * features_);
        });
      });
    }
  }

  std::int64_t rows_;
  std::int64_t heads_;
  bool causal_;
  Tensor input_;
  std::int64_t positions_;
  std::int64_t features_;
  float scale_;
  Projection in_;
  Projection out_;
  std::int64_t block_rows_;
  Tensor projected_;  // [Q K V], in the end of backward their gradients
  Tensor mixed_;      // O of all heads
  Tensor output_;
  Tensor output_gradient_;
  std::vector<float*> in_bias_gradients_;
  std::vector<float*> out_bias_gradients_;
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_operation(Planner& planner, const std::string& name, const Attention& attention,
                       const Tensor& input) {
  auto operation = std::make_unique<AttentionOperation>(planner, name, attention, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

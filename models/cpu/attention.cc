// Multi-head self-attention. Vaswani et al. 2017, section 3.2. For each row and head, with d features a head:
//
//   [Q K V] = x W_inᵀ + b_in,  P = softmax(Q Kᵀ / √d),  O = P V,  y = [O of all heads] W_outᵀ + b_out
//   dV = Pᵀ dO,  dP = dO Vᵀ,  dS = P (dP - Σ dP P) / √d,  dQ = dS K,  dK = dSᵀ Q
//
// Heads are never copied apart: a head's Q, K and V are strided parts of [Q K V], which oneDNN's products
// over the batch read and write in place.
#include <algorithm>
#include <cmath>

#include "base/multiversion.h"
#include "base/vector_math.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"
#include "models/cpu/products.h"

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
        scores_layout_(plain_layout(rows_, {heads_, positions_, positions_})),
        projected_(
            planner.allocate({positions_, 3 * features_}, plain_layout(rows_, {positions_, 3 * features_}))),
        shares_(planner.allocate({heads_, positions_, positions_}, scores_layout_)),
        mixed_(planner.allocate(input_.shape, input_.layout)),
        output_(planner.allocate(input_.shape, input_.layout)) {
    CHECK(input_.layout == plain_layout(rows_, input_.shape));
    planner.use(input_);
    output_.needs_gradient = true;
    add_projection(planner, project_in_, in_, input_, projected_);
    const Tensor queries = heads_of(planner, projected_, 0);
    const Tensor turned_keys = turned_heads_of(planner, projected_, 1);
    const Tensor values = heads_of(planner, projected_, 2);
    const Tensor mixed = heads_of(planner, mixed_, 0);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(
          planner, score_, lane,
          {.left = queries.lanes[index], .right = turned_keys.lanes[index], .result = shares_.lanes[index]});
      add_product(planner, mix_, lane,
                  {.left = shares_.lanes[index], .right = values.lanes[index], .result = mixed.lanes[index]});
    }
    add_projection(planner, mix_, out_, mixed_, output_);
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    for (const Tensor* kept : {&input_, &projected_, &shares_, &mixed_}) {
      planner.use(*kept);
    }
    output_gradient_ = planner.gradient_like(output_, backward_out_);
    projected_gradient_ = planner.allocate(projected_.shape, projected_.layout);
    const Tensor mixed_gradient = planner.allocate(input_.shape, input_.layout);
    score_gradient_ = planner.temporary(scores_layout_);
    add_projection_gradients(planner, backward_out_, out_, mixed_, output_gradient_, mixed_gradient);
    plan_backward_of_heads(planner, mixed_gradient);
    Tensor input_gradient;
    if (input_.needs_gradient) {
      input_gradient = planner.allocate(input_.shape, input_.layout);
      planner.set_gradient(input_, input_gradient);
    }
    add_projection_gradients(planner, backward_in_, in_, input_, projected_gradient_, input_gradient);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      in_bias_gradients_.push_back(planner.parameters().gradient(in_.bias, lane));
      out_bias_gradients_.push_back(planner.parameters().gradient(out_.bias, lane));
    }
  }

  Status forward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      project_in_.run_lane(step, lane);
      score_.run_lane(step, lane);
      float* const scores = shares_.data(lane);
      parallel_for(rows_ * heads_, step.threads, [&](std::int64_t head) {
        softmax_rows(scores + head * positions_ * positions_, positions_, causal_, scale_);
      });
      mix_.run_lane(step, lane);
    });
    return {};
  }

  Status backward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      const auto index = static_cast<std::size_t>(lane);
      backward_out_.run_lane(step, lane);
      auto* const gradients = static_cast<float*>(score_gradient_.get_data_handle());
      const float* const shares = shares_.data(lane);
      parallel_for(rows_ * heads_, step.threads, [&](std::int64_t head) {
        const std::int64_t at = head * positions_ * positions_;
        softmax_gradients(shares + at, gradients + at, positions_, causal_, scale_);
      });
      backward_in_.run_lane(step, lane);
      column_sums(output_gradient_.data(lane), rows_ * positions_, features_, out_bias_gradients_[index]);
      column_sums(projected_gradient_.data(lane), rows_ * positions_, 3 * features_,
                  in_bias_gradients_[index]);
    });
    return {};
  }

 private:
  // The `which`-th block of features of [row, position, features…], as [row, head, position, feature of the
  // head].
  Tensor heads_of(Planner& planner, const Tensor& tensor, std::int64_t which) const {
    const std::int64_t width = tensor.shape.back();
    const std::int64_t size = features_ / heads_;
    return planner.part(tensor,
                        {{rows_, heads_, positions_, size},
                         dnnl::memory::data_type::f32,
                         dnnl::memory::dims{positions_ * width, size, width, 1}},
                        which * features_);
  }
  Tensor turned_heads_of(Planner& planner, const Tensor& tensor, std::int64_t which) const {
    const std::int64_t width = tensor.shape.back();
    const std::int64_t size = features_ / heads_;
    return planner.part(tensor,
                        {{rows_, heads_, size, positions_},
                         dnnl::memory::data_type::f32,
                         dnnl::memory::dims{positions_ * width, size, 1, width}},
                        which * features_);
  }
  Layout turned_scores() const {
    return {{rows_, heads_, positions_, positions_},
            dnnl::memory::data_type::f32,
            dnnl::memory::dims{heads_ * positions_ * positions_, positions_ * positions_, 1, positions_}};
  }

  void plan_backward_of_heads(Planner& planner, const Tensor& mixed_gradient) {
    const Tensor queries = heads_of(planner, projected_, 0);
    const Tensor keys = heads_of(planner, projected_, 1);
    const Tensor turned_values = turned_heads_of(planner, projected_, 2);
    const Tensor gradients = heads_of(planner, mixed_gradient, 0);
    const Tensor turned_shares = planner.part(shares_, turned_scores(), 0);
    const Tensor query_gradients = heads_of(planner, projected_gradient_, 0);
    const Tensor key_gradients = heads_of(planner, projected_gradient_, 1);
    const Tensor value_gradients = heads_of(planner, projected_gradient_, 2);
    const dnnl::memory turned_score_gradient = planner.same_memory(score_gradient_, turned_scores());
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(
          planner, backward_out_, lane,
          {.left = gradients.lanes[index], .right = turned_values.lanes[index], .result = score_gradient_});
      add_product(planner, backward_out_, lane,
                  {.left = turned_shares.lanes[index],
                   .right = gradients.lanes[index],
                   .result = value_gradients.lanes[index]});
      add_product(
          planner, backward_in_, lane,
          {.left = score_gradient_, .right = keys.lanes[index], .result = query_gradients.lanes[index]});
      add_product(planner, backward_in_, lane,
                  {.left = turned_score_gradient,
                   .right = queries.lanes[index],
                   .result = key_gradients.lanes[index]});
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
  Layout scores_layout_;
  Tensor projected_;  // [Q K V]
  Tensor shares_;     // the scores, then P
  Tensor mixed_;      // O of all heads
  Tensor output_;
  Tensor output_gradient_;
  Tensor projected_gradient_;
  dnnl::memory score_gradient_;  // dP, then dS
  std::vector<float*> in_bias_gradients_;
  std::vector<float*> out_bias_gradients_;
  CallSequence project_in_;
  CallSequence score_;
  CallSequence mix_;
  CallSequence backward_out_;  // to dP
  CallSequence backward_in_;   // from dS
};

}  // namespace

Planned plan_operation(Planner& planner, const std::string& name, const Attention& attention,
                       const Tensor& input) {
  auto operation = std::make_unique<AttentionOperation>(planner, name, attention, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

// Attention's heads by products of matrices. For each row, lane and head, with d features a head:
//
//   P = softmax(Q Kᵀ / √d),  O = P V
//   dV = Pᵀ dO,  dP = dO Vᵀ,  dS = P (dP - Σ dP P),  dQ = dS K / √d,  dK = dSᵀ Q / √d
//
// Heads are brought apart, so that those of all rows and lanes are one batch of products. Scores are the
// largest of all values, T to a position and head. So they are computed for some rows at a time, few enough
// to stay in the device's cache, and once more for backward, which then keeps none of them; only where all
// rows go at once P is kept.
#include <algorithm>
#include <cmath>

#include "models/cuda/attention_kernels.h"
#include "models/cuda/attention_mixing.h"
#include "models/cuda/projection.h"

namespace regatta::cuda {
namespace {

constexpr std::int64_t kScoreBytes = std::int64_t{32} << 20;
constexpr std::int64_t kMostMatrices = 65535;  // of a batch: what CUDA's grids have in z
constexpr std::int64_t kAlignment = 16;        // bytes, of what products read

std::int64_t padded(std::int64_t elements) { return (elements + 63) / 64 * 64; }

// The most rows that divide all of them, whose scores fit and whose matrices begin where products may read.
std::int64_t rows_at_once(const HeadsShape& shape) {
  std::int64_t best = shape.rows;
  for (std::int64_t rows = shape.rows; rows > 0; --rows) {
    const std::int64_t matrices = rows * shape.lanes * shape.heads;
    const std::int64_t bytes = matrices * shape.positions * shape.size * bytes_of(shape.type);
    if (shape.rows % rows != 0 || (rows < shape.rows && bytes % kAlignment != 0)) {
      continue;
    }
    best = rows;
    if (matrices * shape.positions * shape.positions * bytes_of(ElementType::f32) <= kScoreBytes &&
        matrices <= kMostMatrices) {
      break;
    }
  }
  return best;
}

class MixingByProducts final : public HeadMixing {
 public:
  MixingByProducts(MathMode math, const MixingShape& shape)
      : heads_{.type = shape.type,
               .rows = shape.rows,
               .positions = shape.positions,
               .lanes = shape.lanes,
               .heads = shape.heads,
               .size = shape.size,
               .parts = 3,
               .part_stride = padded(count_of(shape))},
        one_part_(heads_),
        values_(count_of(shape)),
        rows_at_once_(rows_at_once(heads_)),
        matrices_(rows_at_once_ * heads_.lanes * heads_.heads),
        scores_{.type = heads_.type,
                .rows = matrices_ * heads_.positions,
                .positions = heads_.positions,
                .causal = shape.causal},
        scale_(1 / std::sqrt(static_cast<float>(heads_.size))),
        math_(math) {
    one_part_.parts = 1;
  }

  Status plan_forward(Planner& planner, const Tensor& projected, const Tensor& mixed) override {
    projected_ = projected;
    mixed_ = mixed;
    apart_ = planner.allocate_values(3 * heads_.part_stride, heads_.type);
    shares_ = planner.allocate_values(score_count(), heads_.type);
    mixed_apart_ = planner.allocate_values(values_, heads_.type);
    score_memory_ = planner.allocate_values(score_count(), ElementType::f32);
    RETURN_IF_ERROR(score_.plan(planner, score_product(scale_)));
    return mix_.plan(planner, mix_product(false, 1));
  }

  Status plan_backward(Planner& planner, const Tensor& mixed_gradient,
                       const Tensor& projected_gradient) override {
    mixed_gradient_ = mixed_gradient;
    projected_gradient_ = projected_gradient;
    planner.use(apart_);
    if (keeps_shares()) {
      planner.use(shares_);
      backward_shares_ = shares_;
    } else {
      backward_shares_ = planner.allocate_values(score_count(), heads_.type);
      RETURN_IF_ERROR(score_again_.plan(planner, score_product(scale_)));
    }
    mixed_gradient_apart_ = planner.allocate_values(values_, heads_.type);
    score_gradient_memory_ = planner.allocate_values(score_count(), ElementType::f32);
    score_gradients_ = planner.allocate_values(score_count(), heads_.type);
    gradients_apart_ = planner.allocate_values(3 * heads_.part_stride, heads_.type);
    RETURN_IF_ERROR(to_shares_.plan(planner, score_product(1)));
    RETURN_IF_ERROR(to_values_.plan(planner, mix_product(true, 1)));
    RETURN_IF_ERROR(to_queries_.plan(planner, mix_product(false, scale_)));
    return to_keys_.plan(planner, mix_product(true, scale_));
  }

  Status forward(const Step& step) override {
    split_heads(step.stream, heads_, step.data(projected_), step.data(apart_));
    auto* const scores = step.data<float>(score_memory_);
    void* const shares = step.data(shares_);
    for (std::int64_t row = 0; row < heads_.rows; row += rows_at_once_) {
      RETURN_IF_ERROR(
          score_.run(step, {.a = part(step, apart_, 0, row), .b = part(step, apart_, 1, row), .d = scores}));
      softmax(step.stream, scores_, scores, shares);
      RETURN_IF_ERROR(mix_.run(
          step, {.a = shares, .b = part(step, apart_, 2, row), .d = part(step, mixed_apart_, 0, row)}));
    }
    join_heads(step.stream, one_part_, step.data(mixed_apart_), step.data(mixed_));
    return {};
  }

  Status backward(const Step& step) override {
    split_heads(step.stream, one_part_, step.data(mixed_gradient_), step.data(mixed_gradient_apart_));
    for (std::int64_t row = 0; row < heads_.rows; row += rows_at_once_) {
      RETURN_IF_ERROR(backward_rows(step, row));
    }
    join_heads(step.stream, heads_, step.data(gradients_apart_), step.data(projected_gradient_));
    return {};
  }

 private:
  static std::int64_t count_of(const MixingShape& shape) {
    return shape.rows * shape.positions * shape.lanes * shape.features();
  }
  bool keeps_shares() const { return rows_at_once_ == heads_.rows; }
  std::int64_t score_count() const { return scores_.rows * scores_.positions; }

  // [T, d] [T, d]ᵀ
  MatmulShape score_product(float scale) const {
    return dense({.m = heads_.positions,
                  .n = heads_.positions,
                  .k = heads_.size,
                  .transpose_b = true,
                  .output = ElementType::f32,
                  .scale = scale});
  }
  // [T, T] [T, d], or the first transposed
  MatmulShape mix_product(bool transposed, float scale) const {
    return dense({.m = heads_.positions,
                  .n = heads_.size,
                  .k = heads_.positions,
                  .transpose_a = transposed,
                  .output = heads_.type,
                  .scale = scale});
  }
  MatmulShape dense(MatmulShape shape) const {
    shape.a_row = shape.transpose_a ? shape.m : shape.k;
    shape.b_row = shape.transpose_b ? shape.k : shape.n;
    shape.d_row = shape.n;
    shape.batches = matrices_;
    shape.a_batch = shape.m * shape.k;
    shape.b_batch = shape.k * shape.n;
    shape.d_batch = shape.m * shape.n;
    shape.math = math_;
    return shape;
  }

  // A part's matrices from a row on.
  std::byte* part(const Step& step, const Tensor& apart, std::int64_t part, std::int64_t row) const {
    const std::int64_t of_a_row = heads_.lanes * heads_.heads * heads_.positions * heads_.size;
    return step.data<std::byte>(apart) + (part * heads_.part_stride + row * of_a_row) * bytes_of(heads_.type);
  }

  Status backward_rows(const Step& step, std::int64_t row) const {
    const void* const queries = part(step, apart_, 0, row);
    const void* const keys = part(step, apart_, 1, row);
    const void* const gradients = part(step, mixed_gradient_apart_, 0, row);
    auto* const floats = step.data<float>(score_gradient_memory_);
    void* const shares = step.data(backward_shares_);
    void* const score_gradients = step.data(score_gradients_);
    if (!keeps_shares()) {
      RETURN_IF_ERROR(score_again_.run(step, {.a = queries, .b = keys, .d = floats}));
      softmax(step.stream, scores_, floats, shares);
    }
    RETURN_IF_ERROR(to_shares_.run(step, {.a = gradients, .b = part(step, apart_, 2, row), .d = floats}));
    RETURN_IF_ERROR(
        to_values_.run(step, {.a = shares, .b = gradients, .d = part(step, gradients_apart_, 2, row)}));
    softmax_gradients(step.stream, scores_, shares, floats, score_gradients);
    RETURN_IF_ERROR(
        to_queries_.run(step, {.a = score_gradients, .b = keys, .d = part(step, gradients_apart_, 0, row)}));
    return to_keys_.run(step,
                        {.a = score_gradients, .b = queries, .d = part(step, gradients_apart_, 1, row)});
  }

  HeadsShape heads_;
  HeadsShape one_part_;  // O: the same with one part
  std::int64_t values_;  // elements of O
  std::int64_t rows_at_once_;
  std::int64_t matrices_;  // of so many rows
  ScoresShape scores_;
  float scale_;
  MathMode math_;
  Product score_;
  Product mix_;
  Product score_again_;
  Product to_shares_;
  Product to_values_;
  Product to_queries_;
  Product to_keys_;
  Tensor projected_;
  Tensor mixed_;
  Tensor apart_;         // Q, K and V by heads
  Tensor score_memory_;  // S of some rows
  Tensor shares_;        // P of some rows
  Tensor mixed_apart_;   // O by heads
  Tensor mixed_gradient_;
  Tensor projected_gradient_;
  Tensor mixed_gradient_apart_;
  Tensor backward_shares_;
  Tensor score_gradient_memory_;  // S once more, then dP
  Tensor score_gradients_;        // dS
  Tensor gradients_apart_;
};

}  // namespace

std::unique_ptr<HeadMixing> mix_by_products(MathMode math, const MixingShape& shape) {
  return std::make_unique<MixingByProducts>(math, shape);
}

}  // namespace regatta::cuda

// Attention's heads as one kernel (models/cuda/fused_attention.h). It reads Q, K and V where the projection
// left them, and keeps for backward what it read, O, and a float for each head and position.
#include <algorithm>

#include "models/cuda/attention_mixing.h"
#include "models/cuda/fused_attention.h"

namespace regatta::cuda {
namespace {

// Positions, to whose multiples backward's workspace is rounded up at most.
constexpr std::int64_t kTile = 128;
// Lanes are one call each, while products take all of them in five launches (split, scores, softmax, mix,
// join), if their scores stay in a card's cache.
constexpr std::int64_t kLaunchesOfProducts = 5;
constexpr std::int64_t kCacheBytes = std::int64_t{32} << 20;

std::int64_t parts_of(std::int64_t whole, std::int64_t part) { return (whole + part - 1) / part; }

// As many rows in each of the fewest calls whose dS fits.
std::int64_t rows_of_a_call(const MixingShape& shape, std::int64_t most_bytes) {
  const std::int64_t positions = parts_of(shape.positions, kTile) * kTile;
  const std::int64_t row_bytes = shape.heads * positions * positions * bytes_of(ElementType::bf16);
  const std::int64_t most = std::max<std::int64_t>(1, most_bytes / row_bytes);
  return parts_of(shape.rows, parts_of(shape.rows, most));
}

bool has_fewer_launches_by_products(const MixingShape& shape) {
  const std::int64_t scores = shape.lanes * shape.rows * shape.heads * shape.positions * shape.positions;
  return shape.lanes > kLaunchesOfProducts && scores * bytes_of(ElementType::f32) < kCacheBytes;
}

class FusedMixing final : public HeadMixing {
 public:
  FusedMixing(const MixingShape& shape, std::unique_ptr<FusedAttention> attention)
      : shape_(shape),
        calls_(parts_of(shape.rows, attention->shape().rows)),
        attention_(std::move(attention)) {}

  Status plan_forward(Planner& planner, const Tensor& projected, const Tensor& mixed) override {
    projected_ = projected;
    mixed_ = mixed;
    statistics_ = planner.allocate_values(calls_ * statistics_of_a_call(), ElementType::f32);
    forward_workspace_ = planner.workspace(attention_->plan().forward_workspace_bytes);
    return {};
  }

  Status plan_backward(Planner& planner, const Tensor& mixed_gradient,
                       const Tensor& projected_gradient) override {
    mixed_gradient_ = mixed_gradient;
    projected_gradient_ = projected_gradient;
    planner.use(projected_);
    planner.use(mixed_);
    planner.use(statistics_);
    row_sums_ = planner.allocate_values(attention_->shape().row_values(), ElementType::f32);
    backward_workspace_ = planner.workspace(attention_->plan().backward_workspace_bytes);
    return {};
  }

  Status forward(const Step& step) override {
    for (std::int64_t call = 0; call < calls_; ++call) {
      RETURN_IF_ERROR(
          attention_->forward(step.stream, forward_memory(step, call), step.data(forward_workspace_)));
    }
    return {};
  }

  Status backward(const Step& step) override {
    for (std::int64_t call = 0; call < calls_; ++call) {
      AttentionMemory memory = forward_memory(step, call);
      memory.mixed_gradient = rows_of(step, mixed_gradient_, 1, call);
      memory.row_sums = step.data<float>(row_sums_);
      memory.projected_gradient = rows_of(step, projected_gradient_, 3, call);
      RETURN_IF_ERROR(attention_->backward(step.stream, memory, step.data(backward_workspace_)));
    }
    return {};
  }

 private:
  std::int64_t statistics_of_a_call() const { return shape_.lanes * attention_->shape().statistics_stride(); }

  // The rows of a call, in a tensor of so many parts of the features. The last call's may be in part those of
  // the one before: a row's results are the same in both.
  void* rows_of(const Step& step, const Tensor& tensor, std::int64_t parts, std::int64_t call) const {
    const std::int64_t rows = attention_->shape().rows;
    const std::int64_t first = std::min(call * rows, shape_.rows - rows);
    return step.data<std::byte>(tensor) +
           first * shape_.positions * shape_.lanes * parts * shape_.features() * bytes_of(shape_.type);
  }

  AttentionMemory forward_memory(const Step& step, std::int64_t call) const {
    return {.projected = rows_of(step, projected_, 3, call),
            .mixed = rows_of(step, mixed_, 1, call),
            .statistics = step.data<float>(statistics_) + call * statistics_of_a_call()};
  }

  MixingShape shape_;
  std::int64_t calls_;
  std::unique_ptr<FusedAttention> attention_;
  Tensor projected_;
  Tensor mixed_;
  Tensor statistics_;
  Tensor forward_workspace_;
  Tensor mixed_gradient_;
  Tensor projected_gradient_;
  Tensor row_sums_;
  Tensor backward_workspace_;
};

}  // namespace

Result<std::unique_ptr<HeadMixing>> mix_fused(Planner& planner, const MixingShape& shape) {
  if (shape.type != ElementType::bf16) {
    return failure("attention is fused in bf16 only");
  }
  if (has_fewer_launches_by_products(shape)) {
    return failure("many small lanes are fewer launches by products");
  }
  Libraries& libraries = planner.libraries();
  const AttentionShape of_a_call = {.rows = rows_of_a_call(shape, libraries.attention_bytes),
                                    .positions = shape.positions,
                                    .lanes = shape.lanes,
                                    .heads = shape.heads,
                                    .size = shape.size,
                                    .causal = shape.causal};
  ASSIGN_OR_RETURN(auto attention,
                   plan_fused_attention(*libraries.dnn, of_a_call, planner.phase() == Phase::train));
  return std::unique_ptr<HeadMixing>(std::make_unique<FusedMixing>(shape, std::move(attention)));
}

}  // namespace regatta::cuda

// Cross entropy over softmax, and mean squared error, with the metrics of the same outputs.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/multiversion.h"
#include "base/vector_math.h"
#include "models/cpu/operations.h"

namespace regatta {
namespace {

struct SoftmaxSum {
  float largest;
  float sum;  // of exp(y - largest)
};

REGATTA_MULTIVERSION
SoftmaxSum softmax_row(const float* logits, std::int64_t size, float* shares) {
  float largest = logits[0];
#pragma omp simd reduction(max : largest)
  for (std::int64_t j = 0; j < size; ++j) {
    largest = logits[j] > largest ? logits[j] : largest;
  }
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t j = 0; j < size; ++j) {
    shares[j] = vector_exp(logits[j] - largest);
    sum += shares[j];
  }
  const float inverse = 1 / sum;
#pragma omp simd
  for (std::int64_t j = 0; j < size; ++j) {
    shares[j] *= inverse;
  }
  return {largest, sum};
}

// Both losses keep what backward needs in `residuals_`: [N, outputs] of ∂(sum of losses)/∂y up to a factor.
class LossOperation : public Operation {
 public:
  LossOperation(Planner& planner, const Tensor& output, double gradient_scale)
      : positions_(is_sequence(output.shape) ? output.shape.front() : 1),
        rows_(planner.rows() * positions_),
        columns_(output.shape.back()),
        output_(output),
        residuals_(planner.allocate(output.shape, output.layout)),
        gradient_scale_(static_cast<float>(gradient_scale)),
        finite_(static_cast<std::size_t>(planner.lanes())) {
    CHECK(output.layout == plain_layout(planner.rows(), output.shape));
    planner.use(output);
  }

  void plan_backward(Planner& planner) override {
    planner.use(residuals_);
    planner.set_gradient(output_, residuals_);
  }

  // Rows of the batch that are not in use get the gradient zero.
  Status forward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      const double loss = add_losses(step, lane);
      finite_[static_cast<std::size_t>(lane)] = std::isfinite(loss) ? 1 : 0;
      float* const residuals = residuals_.data(lane);
      std::fill(residuals + rows_in_use(step) * columns_, residuals + rows_ * columns_, 0.0F);
    });
    return {};
  }

  // A loss that is not finite makes every gradient of the lane NaN, whatever relu or max would have hidden.
  Status backward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      float* const residuals = residuals_.data(lane);
      const float scale = finite_[static_cast<std::size_t>(lane)] != 0
                              ? gradient_scale_
                              : std::numeric_limits<float>::quiet_NaN();
      for (std::int64_t i = 0; i < rows_ * columns_; ++i) {
        residuals[i] *= scale;
      }
    });
    return {};
  }

 protected:
  // Fills the residuals of the rows in use, adds to the lane's metrics, returns the sum of the losses.
  virtual double add_losses(const Step& step, int lane) = 0;

  std::int64_t rows_in_use(const Step& step) const { return step.batch.count * positions_; }

  std::int64_t positions_;  // of a sample: a sequence has a label at each
  std::int64_t rows_;       // positions count one by one
  std::int64_t columns_;
  Tensor output_;
  Tensor residuals_;

 private:
  float gradient_scale_;
  std::vector<char> finite_;  // one a lane
};

// loss = log Σⱼ exp(yⱼ) - Σⱼ tⱼ yⱼ;  ∂loss/∂yⱼ = softmax(y)ⱼ - tⱼ
// tⱼ = [j = label], or else (1 - ε) (s [j = label] + (1 - s) [j = other label]) + ε / classes where labels
// are smoothed by ε or two samples were mixed, s being the first one's share.
class CrossEntropyOperation final : public LossOperation {
 public:
  CrossEntropyOperation(Planner& planner, const Tensor& output, double gradient_scale, double smoothing)
      : LossOperation(planner, output, gradient_scale), smoothing_(static_cast<float>(smoothing)) {}

 private:
  double add_losses(const Step& step, int lane) override {
    const float* const logits = output_.data(lane);
    float* const residuals = residuals_.data(lane);
    double loss_sum = 0;
    for (std::int64_t row = 0; row < rows_in_use(step); ++row) {
      const std::int32_t label = step.batch.labels[static_cast<std::size_t>(row)];
      CHECK(label >= 0 && label < columns_);
      const float* const line = logits + row * columns_;
      loss_sum += softmax(line, residuals + row * columns_);
      loss_sum -= subtract_target(step, row, line, residuals + row * columns_);
    }
    step.sums[static_cast<std::size_t>(lane)].add_classified(
        logits, columns_, step.batch.labels.first(static_cast<std::size_t>(rows_in_use(step))), loss_sum);
    return loss_sum;
  }

  // The logarithm of the sum.
  double softmax(const float* logits, float* residuals) const {
    const auto [largest, sum] = softmax_row(logits, columns_, residuals);
    return std::log(static_cast<double>(sum)) + static_cast<double>(largest);
  }

  // Σⱼ tⱼ yⱼ
  double subtract_target(const Step& step, std::int64_t row, const float* logits, float* residuals) const {
    const auto index = static_cast<std::size_t>(row);
    const std::int32_t label = step.batch.labels[index];
    const bool mixed = !step.batch.other_labels.empty();
    if (!mixed && smoothing_ == 0) {
      residuals[label] -= 1;
      return logits[label];
    }
    const std::int32_t other = mixed ? step.batch.other_labels[index] : label;
    CHECK(other >= 0 && other < columns_);
    const float share = mixed ? step.batch.label_shares[index / static_cast<std::size_t>(positions_)] : 1;
    const float first = (1 - smoothing_) * share;
    const float second = (1 - smoothing_) * (1 - share);
    const float rest = smoothing_ / static_cast<float>(columns_);
    double sum = 0;
    for (std::int64_t j = 0; j < columns_; ++j) {
      residuals[j] -= rest;
      sum += logits[j];
    }
    residuals[label] -= first;
    residuals[other] -= second;
    return rest * sum + first * logits[label] + second * logits[other];
  }

  float smoothing_;
};

// loss = mean over outputs of (y - t)²;  ∂loss/∂yⱼ = 2 (yⱼ - tⱼ) / outputs
class SquaredErrorOperation final : public LossOperation {
 public:
  using LossOperation::LossOperation;

 private:
  double add_losses(const Step& step, int lane) override {
    const float* const outputs = output_.data(lane);
    float* const residuals = residuals_.data(lane);
    const std::int64_t used = step.batch.count * columns_;
    double squares = 0;
    for (std::int64_t i = 0; i < used; ++i) {
      residuals[i] = outputs[i] - step.batch.targets[static_cast<std::size_t>(i)];
      squares += static_cast<double>(residuals[i]) * static_cast<double>(residuals[i]);
    }
    const double loss_sum = squares / static_cast<double>(columns_);
    step.sums[static_cast<std::size_t>(lane)].add_regressed(
        outputs, columns_, step.batch.targets.first(static_cast<std::size_t>(used)), loss_sum);
    return loss_sum;
  }
};

}  // namespace

std::unique_ptr<Operation> plan_loss(Planner& planner, const TrainConfig& train, const Tensor& output,
                                     std::int64_t global_batch) {
  const std::int64_t positions = is_sequence(output.shape) ? output.shape.front() : 1;
  const double mean = 1 / static_cast<double>(global_batch * positions);
  switch (train.loss) {
    case Loss::cross_entropy: {
      const double smoothing = planner.phase() == Phase::train ? train.label_smoothing : 0;
      return std::make_unique<CrossEntropyOperation>(planner, output, mean, smoothing);
    }
    case Loss::mse: {
      const auto outputs = static_cast<double>(element_count(output.shape));
      return std::make_unique<SquaredErrorOperation>(planner, output, 2 * mean / outputs);
    }
  }
  check_failed("a known loss", __FILE__, __LINE__);
}

}  // namespace regatta

// Cross entropy over softmax, and mean squared error, with the metrics of the same outputs.
#include <cfloat>
#include <cmath>

#include "models/cuda/block_sum.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/metrics.h"

namespace regatta::cuda {
namespace {

constexpr int kThreads = 256;

struct LossShape {
  std::int64_t positions = 1;  // labels of a sample
  std::int64_t columns = 0;    // classes or targets
  int lanes = 1;
  float gradient_scale = 1;
  float smoothing = 0;
  bool trains = false;
};

// A lane's loss as it is told. What makes it NaN in training may be hidden from the weights by a relu at the
// network's end, so the lane is marked here.
__device__ double judged(double loss, int lane, const LossShape& shape, const Health& health) {
  if (shape.trains && !isfinite(loss)) {
    health.broken[lane] = 1;
    health.told_to_host[lane] = 1;
  }
  return health.broken[lane] != 0 ? NAN : loss;
}

// A warp for each label of each lane: outputs [points, lanes, columns], losses [lanes, points].
// loss = log Σⱼ exp(yⱼ) - Σⱼ tⱼ yⱼ;  ∂loss/∂yⱼ = softmax(y)ⱼ - tⱼ
// tⱼ = [j = label], or else (1 - ε) (s [j = label] + (1 - s) [j = other label]) + ε / classes where labels
// are smoothed by ε or two samples were mixed, s being the first one's share.
__global__ void cross_entropy(LossShape shape, std::int64_t points, const float* __restrict__ outputs,
                              DeviceBatch batch, StepNumbers numbers, float* __restrict__ residuals,
                              double* __restrict__ losses, double* __restrict__ sums,
                              std::int64_t sums_size) {
  const std::int64_t row = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  const int place = static_cast<int>(threadIdx.x % kWarp);
  if (row >= points * shape.lanes) {
    return;
  }
  const std::int64_t point = row / shape.lanes;
  const int lane = static_cast<int>(row % shape.lanes);
  const std::int64_t columns = shape.columns;
  const float* const logits = outputs + row * columns;
  float* const residual = residuals + row * columns;
  if (point >= numbers.batch->count * shape.positions) {
    for (std::int64_t j = place; j < columns; j += kWarp) {
      residual[j] = 0;
    }
    if (place == 0) {
      losses[lane * points + point] = 0;
    }
    return;
  }

  // The largest, and the first place where it stands. A NaN is never the largest, but makes the sum NaN.
  float largest = -INFINITY;
  std::int64_t predicted = columns;
  float total = 0;  // of all logits, for smoothing
  for (std::int64_t j = place; j < columns; j += kWarp) {
    if (logits[j] > largest) {
      largest = logits[j];
      predicted = j;
    }
    total += logits[j];
  }
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kAllOfWarp, largest, distance);
    const std::int64_t other_place = __shfl_xor_sync(kAllOfWarp, predicted, distance);
    if (other > largest || (other == largest && other_place < predicted)) {
      largest = other;
      predicted = other_place;
    }
  }
  total = warp_sum(total);
  float sum = 0;
  for (std::int64_t j = place; j < columns; j += kWarp) {
    sum += expf(logits[j] - largest);
  }
  sum = warp_sum(sum);

  const std::int32_t label = batch.labels[point];
  const bool mixed = numbers.batch->mixed != 0;
  const std::int32_t other = mixed ? batch.other_labels[point] : label;
  const float share = mixed ? batch.label_shares[point / shape.positions] : 1.0F;
  const float first = (1 - shape.smoothing) * share;
  const float second = (1 - shape.smoothing) * (1 - share);
  const float rest = shape.smoothing / static_cast<float>(columns);
  for (std::int64_t j = place; j < columns; j += kWarp) {
    const float target = rest + (j == label ? first : 0) + (j == other ? second : 0);
    residual[j] = (expf(logits[j] - largest) / sum - target) * shape.gradient_scale;
  }
  if (place != 0) {
    return;
  }
  losses[lane * points + point] =
      log(static_cast<double>(sum)) + static_cast<double>(largest) -
      (static_cast<double>(rest) * total + static_cast<double>(first) * logits[label] +
       static_cast<double>(second) * logits[other]);
  if (numbers.lanes[lane].active != 0) {
    // Counts: adding whole numbers gives the same sum in any order. See MetricSums for the places.
    double* const of_lane = sums + lane * sums_size;
    const std::int64_t seen = predicted < columns ? predicted : 0;
    atomicAdd(&of_lane[MetricLayout::kHeader + MetricLayout::kPerClass * label + MetricLayout::kActual], 1.0);
    atomicAdd(&of_lane[MetricLayout::kHeader + MetricLayout::kPerClass * seen + MetricLayout::kPredicted],
              1.0);
    if (seen == label) {
      atomicAdd(&of_lane[MetricLayout::kHeader + MetricLayout::kPerClass * label + MetricLayout::kHits], 1.0);
    }
  }
}

// A block for each lane adds its losses up, always in the same order.
__global__ void add_losses(LossShape shape, std::int64_t points, const double* __restrict__ losses,
                           StepNumbers numbers, Health health, double* __restrict__ sums,
                           std::int64_t sums_size) {
  const auto lane = static_cast<int>(blockIdx.x);
  if (numbers.lanes[lane].active == 0) {
    return;
  }
  double loss = 0;
  for (std::int64_t point = threadIdx.x; point < points; point += kThreads) {
    loss += losses[lane * points + point];
  }
  loss = block_sum<kThreads>(loss);
  if (threadIdx.x == 0) {
    double* const of_lane = sums + lane * sums_size;
    of_lane[MetricLayout::kCount] += static_cast<double>(numbers.batch->count * shape.positions);
    of_lane[MetricLayout::kLoss] += judged(loss, lane, shape, health);
  }
}

// A block for each lane: loss = mean over outputs of (y - t)²;  ∂loss/∂yⱼ = 2 (yⱼ - tⱼ) / outputs, which is
// in the scale. The metrics of a target are in the data's own units.
__global__ void squared_error(LossShape shape, std::int64_t points, const float* __restrict__ outputs,
                              DeviceBatch batch, StepNumbers numbers, const float* __restrict__ target_scale,
                              float* __restrict__ residuals, Health health, double* __restrict__ sums,
                              std::int64_t sums_size) {
  const auto lane = static_cast<int>(blockIdx.x);
  const std::int64_t columns = shape.columns;
  const std::int64_t used = numbers.batch->count;
  double* const of_lane = sums + lane * sums_size;
  const bool counts = numbers.lanes[lane].active != 0;
  double squares = 0;
  for (std::int64_t column = 0; column < columns; ++column) {
    double absolute = 0;
    double squared = 0;
    double target_sum = 0;
    double squared_targets = 0;
    for (std::int64_t row = threadIdx.x; row < points; row += kThreads) {
      const std::int64_t at = (row * shape.lanes + lane) * columns + column;
      if (row >= used) {
        residuals[at] = 0;
        continue;
      }
      const float target = batch.targets[row * columns + column];
      const float residual = outputs[at] - target;
      residuals[at] = residual * shape.gradient_scale;
      squares += static_cast<double>(residual) * static_cast<double>(residual);
      const double raw = static_cast<double>(target) / target_scale[column];
      const double error = static_cast<double>(outputs[at]) / target_scale[column] - raw;
      absolute += fabs(error);
      squared += error * error;
      target_sum += raw;
      squared_targets += raw * raw;
    }
    const double values[] = {absolute, squared, target_sum, squared_targets};
    for (std::size_t kind = 0; kind < MetricLayout::kPerTarget; ++kind) {
      const double sum = block_sum<kThreads>(values[kind]);
      if (threadIdx.x == 0 && counts) {
        of_lane[MetricLayout::kHeader + MetricLayout::kPerTarget * column + kind] += sum;
      }
      __syncthreads();
    }
  }
  squares = block_sum<kThreads>(squares);
  if (threadIdx.x == 0 && counts) {
    of_lane[MetricLayout::kCount] += static_cast<double>(used);
    of_lane[MetricLayout::kLoss] += judged(squares / static_cast<double>(columns), lane, shape, health);
  }
}

class LossOperation final : public Operation {
 public:
  LossOperation(Planner& planner, const TrainConfig& train, const Tensor& output, std::int64_t global_batch,
                const LossMemory& memory)
      : loss_(train.loss), output_(output), memory_(memory) {
    CHECK(output.type == ElementType::f32 && output.lanes == planner.lanes());
    const std::int64_t positions = is_sequence(output.shape) ? output.positions() : 1;
    const double mean = 1 / static_cast<double>(global_batch * positions);
    shape_ = {.positions = positions, .columns = output.channels(), .lanes = output.lanes};
    shape_.trains = planner.phase() == Phase::train;
    if (loss_ == Loss::cross_entropy) {
      shape_.smoothing = shape_.trains ? static_cast<float>(train.label_smoothing) : 0;
      shape_.gradient_scale = static_cast<float>(mean);
      sums_size_ = static_cast<std::int64_t>(MetricSums::classification(shape_.columns).sums().size());
      losses_ = planner.allocate_values(2 * output.points() * output.lanes, ElementType::f32);  // doubles
    } else {
      shape_.gradient_scale = static_cast<float>(2 * mean / static_cast<double>(element_count(output.shape)));
      sums_size_ = static_cast<std::int64_t>(MetricSums::regression(shape_.columns, {}).sums().size());
    }
    planner.use(output);
    residuals_ = planner.allocate_like(output, ElementType::f32);
  }

  Status plan_backward(Planner& planner) override {
    planner.use(residuals_);
    planner.set_gradient(output_, residuals_);
    return {};
  }

  Status forward(const Step& step) override {
    const std::int64_t points = output_.points();
    if (loss_ == Loss::mse) {
      launch(squared_error, {.grid = dim3(static_cast<unsigned>(output_.lanes)), .block = dim3(kThreads)},
             step.stream, shape_, points, step.data<float>(output_), step.batch, step.numbers,
             memory_.target_scale, step.data<float>(residuals_), memory_.health, memory_.sums, sums_size_);
      return {};
    }
    launch(cross_entropy, one_thread_each(points * output_.lanes * kWarp, kThreads), step.stream, shape_,
           points, step.data<float>(output_), step.batch, step.numbers, step.data<float>(residuals_),
           step.data<double>(losses_), memory_.sums, sums_size_);
    launch(add_losses, {.grid = dim3(static_cast<unsigned>(output_.lanes)), .block = dim3(kThreads)},
           step.stream, shape_, points, step.data<double>(losses_), step.numbers, memory_.health,
           memory_.sums, sums_size_);
    return {};
  }

  Status backward(const Step&) override { return {}; }  // forward has left the gradients

 private:
  Loss loss_;
  Tensor output_;
  LossMemory memory_;
  LossShape shape_;
  std::int64_t sums_size_ = 0;
  Tensor losses_;
  Tensor residuals_;
};

}  // namespace

Result<std::unique_ptr<Operation>> plan_loss(Planner& planner, const TrainConfig& train, const Tensor& output,
                                             std::int64_t global_batch, const LossMemory& memory) {
  return std::unique_ptr<Operation>(
      std::make_unique<LossOperation>(planner, train, output, global_batch, memory));
}

}  // namespace regatta::cuda

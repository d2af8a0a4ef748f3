// Cross entropy over softmax, and mean squared error, with the metrics of the same outputs.
#include <cfloat>
#include <cmath>

#include "models/cuda/block_sum.h"
#include "models/cuda/elements.h"
#include "models/cuda/last_block.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/metrics.h"

namespace regatta::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kPointsPerBlock = kThreads / kWarp;

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

// Where the losses of a lane's points come together.
struct LossSums {
  double* partial = nullptr;     // [lanes][blocks of a lane]
  unsigned* counters = nullptr;  // [lanes]
  double* sums = nullptr;        // [lanes][size]
  std::int64_t size = 0;
};

// What smoothing and mixing make of a point's label:
// tⱼ = [j = label], or else (1 - ε) (s [j = label] + (1 - s) [j = other label]) + ε / classes where labels
// are smoothed by ε or two samples were mixed, s being the first one's share.
struct PointTarget {
  std::int32_t label;
  std::int32_t other;
  float first;
  float second;
  float rest;

  __device__ PointTarget(const LossShape& shape, const DeviceBatch& batch, bool mixed, std::int64_t point) {
    label = batch.labels[point];
    other = mixed ? batch.other_labels[point] : label;
    const float share = mixed ? batch.label_shares[point / shape.positions] : 1.0F;
    first = (1 - shape.smoothing) * share;
    second = (1 - shape.smoothing) * (1 - share);
    rest = shape.smoothing / static_cast<float>(shape.columns);
  }
  __device__ float of(std::int64_t column) const {
    return rest + (column == label ? first : 0) + (column == other ? second : 0);
  }
};

// Adding whole numbers gives the same sum in any order. See MetricSums for the places.
__device__ void count_prediction(std::int32_t label, std::int64_t predicted, double* of_lane) {
  double* const classes = of_lane + MetricLayout::kHeader;
  atomicAdd(&classes[MetricLayout::kPerClass * label + MetricLayout::kActual], 1.0);
  atomicAdd(&classes[MetricLayout::kPerClass * predicted + MetricLayout::kPredicted], 1.0);
  if (predicted == label) {
    atomicAdd(&classes[MetricLayout::kPerClass * label + MetricLayout::kHits], 1.0);
  }
}

// A warp's point of a lane: its loss, for thread 0 of the warp.
// loss = log Σⱼ exp(yⱼ) - Σⱼ tⱼ yⱼ;  ∂loss/∂yⱼ = softmax(y)ⱼ - tⱼ
template <class Element>
__device__ double loss_of_point(const LossShape& shape, const PointTarget& target, int place,
                                const Element* __restrict__ logits, Element* __restrict__ residual,
                                double* of_lane) {
  const std::int64_t columns = shape.columns;
  // The largest, and the first place where it stands. A NaN is never the largest, but makes the sum NaN.
  float largest = -INFINITY;
  std::int64_t predicted = columns;
  float total = 0;  // of all logits, for smoothing
  for (std::int64_t j = place; j < columns; j += kWarp) {
    const float logit = to_float(logits[j]);
    if (logit > largest) {
      largest = logit;
      predicted = j;
    }
    total += logit;
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
    sum += expf(to_float(logits[j]) - largest);
  }
  sum = warp_sum(sum);
  for (std::int64_t j = place; j < columns; j += kWarp) {
    const float share = expf(to_float(logits[j]) - largest) / sum;
    assign((share - target.of(j)) * shape.gradient_scale, residual[j]);
  }
  if (place != 0) {
    return 0;
  }
  if (of_lane != nullptr) {
    count_prediction(target.label, predicted < columns ? predicted : 0, of_lane);
  }
  return log(static_cast<double>(sum)) + static_cast<double>(largest) -
         (static_cast<double>(target.rest) * total +
          static_cast<double>(target.first) * to_float(logits[target.label]) +
          static_cast<double>(target.second) * to_float(logits[target.other]));
}

// A warp for each label of each lane: outputs [points, lanes, columns]. A lane's last block adds the losses
// up, always in the same order.
template <class Element>
__global__ void cross_entropy(LossShape shape, std::int64_t points, const Element* __restrict__ outputs,
                              DeviceBatch batch, StepNumbers numbers, Element* __restrict__ residuals,
                              Health health, LossSums memory) {
  const auto lane = static_cast<int>(blockIdx.y);
  const std::int64_t point = static_cast<std::int64_t>(blockIdx.x) * kPointsPerBlock + threadIdx.x / kWarp;
  const auto place = static_cast<int>(threadIdx.x % kWarp);
  const std::int64_t used = numbers.batch->count * shape.positions;
  const bool counts = numbers.lanes[lane].active != 0;
  double* const of_lane = memory.sums + lane * memory.size;
  const std::int64_t row = (point * shape.lanes + lane) * shape.columns;
  double loss = 0;
  if (point < used) {
    const PointTarget target(shape, batch, numbers.batch->mixed != 0, point);
    loss = loss_of_point(shape, target, place, outputs + row, residuals + row, counts ? of_lane : nullptr);
  } else if (point < points) {
    for (std::int64_t j = place; j < shape.columns; j += kWarp) {
      assign(0.0F, residuals[row + j]);
    }
  }

  double* const partial = memory.partial + static_cast<std::int64_t>(lane) * gridDim.x;
  loss = block_sum<kThreads>(loss);
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = loss;
  }
  if (!is_last_block(memory.counters + lane, gridDim.x)) {
    return;
  }
  double of_blocks = 0;
  for (unsigned block = threadIdx.x; block < gridDim.x; block += kThreads) {
    of_blocks += read_fresh(partial + block);
  }
  of_blocks = block_sum<kThreads>(of_blocks);
  if (threadIdx.x == 0 && counts) {
    of_lane[MetricLayout::kCount] += static_cast<double>(used);
    of_lane[MetricLayout::kLoss] += judged(of_blocks, lane, shape, health);
  }
}

// A block for each lane: loss = mean over outputs of (y - t)²;  ∂loss/∂yⱼ = 2 (yⱼ - tⱼ) / outputs, which is
// in the scale. The metrics of a target are in the data's own units.
template <class Element>
__global__ void squared_error(LossShape shape, std::int64_t points, const Element* __restrict__ outputs,
                              DeviceBatch batch, StepNumbers numbers, const float* __restrict__ target_scale,
                              Element* __restrict__ residuals, Health health, double* __restrict__ sums,
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
        assign(0.0F, residuals[at]);
        continue;
      }
      const float target = batch.targets[row * columns + column];
      const float output = to_float(outputs[at]);
      const float residual = output - target;
      assign(residual * shape.gradient_scale, residuals[at]);
      squares += static_cast<double>(residual) * static_cast<double>(residual);
      const double raw = static_cast<double>(target) / target_scale[column];
      const double error = static_cast<double>(output) / target_scale[column] - raw;
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
    CHECK(output.lanes == planner.lanes());
    const std::int64_t positions = is_sequence(output.shape) ? output.positions() : 1;
    const double mean = 1 / static_cast<double>(global_batch * positions);
    shape_ = {.positions = positions, .columns = output.channels(), .lanes = output.lanes};
    shape_.trains = planner.phase() == Phase::train;
    if (loss_ == Loss::cross_entropy) {
      shape_.smoothing = shape_.trains ? static_cast<float>(train.label_smoothing) : 0;
      shape_.gradient_scale = static_cast<float>(mean);
      sums_size_ = static_cast<std::int64_t>(MetricSums::classification(shape_.columns).sums().size());
      losses_ = planner.allocate_values(2 * blocks_of_lane() * output.lanes, ElementType::f32);  // doubles
      counters_ = planner.allocate_counters(output.lanes);
    } else {
      shape_.gradient_scale = static_cast<float>(2 * mean / static_cast<double>(element_count(output.shape)));
      sums_size_ = static_cast<std::int64_t>(MetricSums::regression(shape_.columns, {}).sums().size());
    }
    planner.use(output);
    residuals_ = planner.allocate_like(output, output.type);
  }

  Status plan_backward(Planner& planner) override {
    planner.use(residuals_);
    planner.set_gradient(output_, residuals_);
    return {};
  }

  Status forward(const Step& step) override {
    with_element(output_.type, [&](auto element) { forward_of<decltype(element)>(step); });
    return {};
  }

  Status backward(const Step&) override { return {}; }  // forward has left the gradients

 private:
  std::int64_t blocks_of_lane() const { return (output_.points() + kPointsPerBlock - 1) / kPointsPerBlock; }

  template <class Element>
  void forward_of(const Step& step) const {
    const auto lanes = static_cast<unsigned>(output_.lanes);
    const auto* const outputs = step.data<const Element>(output_);
    auto* const residuals = step.data<Element>(residuals_);
    if (loss_ == Loss::mse) {
      launch(squared_error<Element>, {.grid = dim3(lanes), .block = dim3(kThreads)}, step.stream, shape_,
             output_.points(), outputs, step.batch, step.numbers, memory_.target_scale, residuals,
             memory_.health, memory_.sums, sums_size_);
      return;
    }
    launch(cross_entropy<Element>,
           {.grid = dim3(static_cast<unsigned>(blocks_of_lane()), lanes), .block = dim3(kThreads)},
           step.stream, shape_, output_.points(), outputs, step.batch, step.numbers, residuals,
           memory_.health,
           LossSums{.partial = step.data<double>(losses_),
                    .counters = step.counters + counters_,
                    .sums = memory_.sums,
                    .size = sums_size_});
  }

  Loss loss_;
  Tensor output_;
  LossMemory memory_;
  LossShape shape_;
  std::int64_t sums_size_ = 0;
  Tensor losses_;
  std::int64_t counters_ = 0;
  Tensor residuals_;
};

}  // namespace

Result<std::unique_ptr<Operation>> plan_loss(Planner& planner, const TrainConfig& train, const Tensor& output,
                                             std::int64_t global_batch, const LossMemory& memory) {
  return std::unique_ptr<Operation>(
      std::make_unique<LossOperation>(planner, train, output, global_batch, memory));
}

}  // namespace regatta::cuda

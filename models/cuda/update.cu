// The twin of models/optimizer.cc: a block of threads for each segment, and for every rule the same
// arithmetic.
#include <cuda_bf16.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "models/cuda/block_sum.h"
#include "models/cuda/device.h"
#include "models/cuda/last_block.h"
#include "models/cuda/launch.h"
#include "models/cuda/update.h"

namespace regatta::cuda {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kLongestSegment = 4096;
constexpr double kTiny = 1e-6;  // PyTorch's guard against division by zero, as in clip_factor()

struct FlatMemory {
  float* weights;
  const float* gradients;
  float* first;
  float* second;
  __nv_bfloat16* copies;  // or null
};

// One float of each buffer. Returns the new weight.
struct Rule {
  LaneUpdate update;
  float decay;
  float scale;

  __device__ float apply(float weight, float gradient, float& first, float& second) const {
    if (update.kind == OptimizerConfig::Kind::sgd) {
      gradient = scale * gradient + decay * weight;
      if (update.momentum == 0) {
        return weight - update.lr * gradient;
      }
      first = update.momentum * first + gradient;
      return weight - update.lr * (update.nesterov ? gradient + update.momentum * first : first);
    }
    const bool decoupled = update.kind == OptimizerConfig::Kind::adamw;
    gradient = scale * gradient + (decoupled ? 0 : decay) * weight;
    first = update.beta1 * first + (1 - update.beta1) * gradient;
    second = update.beta2 * second + (1 - update.beta2) * gradient * gradient;
    const float kept = 1 - (decoupled ? update.lr * decay : 0);
    const float rate = update.lr / update.correction1;
    return kept * weight - rate * (first / (sqrtf(second) / update.correction2 + update.epsilon));
  }
  __device__ bool has_first() const {
    return update.kind != OptimizerConfig::Kind::sgd || update.momentum != 0;
  }
  __device__ bool has_second() const { return update.kind != OptimizerConfig::Kind::sgd; }
};

__device__ bool update_one(const Rule& rule, const FlatMemory& memory, std::int64_t at) {
  float first = rule.has_first() ? memory.first[at] : 0;
  float second = rule.has_second() ? memory.second[at] : 0;
  const float weight = rule.apply(memory.weights[at], memory.gradients[at], first, second);
  memory.weights[at] = weight;
  if (rule.has_first()) {
    memory.first[at] = first;
  }
  if (rule.has_second()) {
    memory.second[at] = second;
  }
  if (memory.copies != nullptr) {
    memory.copies[at] = __float2bfloat16(weight);
  }
  return isfinite(weight);
}

// Four floats at a time; the segment begins at a multiple of 16 bytes.
__device__ bool update_four(const Rule& rule, const FlatMemory& memory, std::int64_t at) {
  float4 weight = *reinterpret_cast<float4*>(memory.weights + at);
  const float4 gradient = *reinterpret_cast<const float4*>(memory.gradients + at);
  float4 first = {};
  float4 second = {};
  if (rule.has_first()) {
    first = *reinterpret_cast<float4*>(memory.first + at);
  }
  if (rule.has_second()) {
    second = *reinterpret_cast<float4*>(memory.second + at);
  }
  weight.x = rule.apply(weight.x, gradient.x, first.x, second.x);
  weight.y = rule.apply(weight.y, gradient.y, first.y, second.y);
  weight.z = rule.apply(weight.z, gradient.z, first.z, second.z);
  weight.w = rule.apply(weight.w, gradient.w, first.w, second.w);
  *reinterpret_cast<float4*>(memory.weights + at) = weight;
  if (rule.has_first()) {
    *reinterpret_cast<float4*>(memory.first + at) = first;
  }
  if (rule.has_second()) {
    *reinterpret_cast<float4*>(memory.second + at) = second;
  }
  if (memory.copies != nullptr) {
    memory.copies[at] = __float2bfloat16(weight.x);
    memory.copies[at + 1] = __float2bfloat16(weight.y);
    memory.copies[at + 2] = __float2bfloat16(weight.z);
    memory.copies[at + 3] = __float2bfloat16(weight.w);
  }
  return isfinite(weight.x) && isfinite(weight.y) && isfinite(weight.z) && isfinite(weight.w);
}

__global__ void update_weights(const UpdateSegment* __restrict__ segments, FlatMemory memory,
                               StepNumbers numbers, const float* __restrict__ clip_factors, Health health) {
  const UpdateSegment segment = segments[blockIdx.x];
  const LaneNumbers& lane = numbers.lanes[segment.lane];
  if (lane.active == 0) {
    return;
  }
  Rule rule{.update = lane.update, .decay = segment.decays != 0 ? lane.update.weight_decay : 0, .scale = 1};
  rule.scale = clip_factors != nullptr ? clip_factors[segment.lane] : 1;
  bool finite = true;
  std::int64_t done = 0;
  if (segment.offset % 4 == 0) {
    done = segment.size / 4 * 4;
    for (std::int64_t i = 4 * threadIdx.x; i < done; i += 4 * kThreads) {
      finite &= update_four(rule, memory, segment.offset + i);
    }
  }
  for (std::int64_t i = done + threadIdx.x; i < segment.size; i += kThreads) {
    finite &= update_one(rule, memory, segment.offset + i);
  }
  if (!finite) {
    health.broken[segment.lane] = 1;
    health.told_to_host[segment.lane] = 1;
  }
}

// A lane's last block makes its factor of the lengths of the lane's segments.
__global__ void measure_lanes(const UpdateSegment* __restrict__ segments, std::int64_t count, int lanes,
                              const float* __restrict__ gradients, double limit, double* norms,
                              unsigned* counters, float* __restrict__ factors) {
  const UpdateSegment segment = segments[blockIdx.x];
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < segment.size; i += kThreads) {
    const auto value = static_cast<double>(gradients[segment.offset + i]);
    sum += value * value;
  }
  sum = block_sum<kThreads>(sum);
  if (threadIdx.x == 0) {
    norms[blockIdx.x] = sum;
  }
  if (!is_last_block(counters + segment.lane, static_cast<unsigned>(count / lanes))) {
    return;
  }
  double of_lane = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += kThreads) {
    of_lane += segments[i].lane == segment.lane ? read_fresh(norms + i) : 0;
  }
  of_lane = block_sum<kThreads>(of_lane);
  if (threadIdx.x == 0) {
    const double factor = limit / (sqrt(of_lane) + kTiny);
    factors[segment.lane] = static_cast<float>(factor < 1 ? factor : (of_lane == of_lane ? 1 : factor));
  }
}

__global__ void copy_as_bf16(const float* __restrict__ from, __nv_bfloat16* __restrict__ to,
                             std::int64_t count) {
  each_element(count, [&](std::int64_t i) { to[i] = __float2bfloat16(from[i]); });
}

LaunchShape block_each(std::int64_t count) {
  return {.grid = dim3(static_cast<unsigned>(count)), .block = dim3(kThreads)};
}

}  // namespace

Result<Update> Update::plan(const Parameters& parameters, std::optional<double> gradient_clip) {
  std::vector<UpdateSegment> table;
  for (const ParameterBlock& block : parameters.blocks()) {
    const std::int64_t size = block.spec->size;
    for (int lane = 0; lane < parameters.lanes(); ++lane) {
      for (std::int64_t done = 0; done < size; done += kLongestSegment) {
        table.push_back({.offset = block.offset + lane * size + done,
                         .size = static_cast<std::int32_t>(std::min(kLongestSegment, size - done)),
                         .lane = lane,
                         .decays = block.spec->decays ? 1 : 0});
      }
    }
  }
  Update update;
  update.parameters_ = &parameters;
  update.gradient_clip_ = gradient_clip;
  update.segments_ = static_cast<std::int64_t>(table.size());
  const std::size_t bytes = table.size() * sizeof(UpdateSegment);
  ASSIGN_OR_RETURN(update.table_, DeviceMemory::allocate(bytes, "the optimizer's table"));
  if (bytes > 0) {
    RETURN_IF_ERROR(check(cudaMemcpy(update.table_.data(), table.data(), bytes, cudaMemcpyHostToDevice),
                          "copying the optimizer's table"));
  }
  if (gradient_clip) {
    ASSIGN_OR_RETURN(update.norms_,
                     DeviceMemory::allocate(table.size() * sizeof(double), "the gradients' lengths"));
    const auto lanes = static_cast<std::size_t>(parameters.lanes());
    ASSIGN_OR_RETURN(update.counters_, DeviceMemory::allocate(lanes * sizeof(unsigned), "clipping"));
    ASSIGN_OR_RETURN(update.clip_factors_, DeviceMemory::allocate(lanes * sizeof(float), "clipping"));
  }
  return Result<Update>(std::move(update));  // nvcc does not move it by itself
}

void Update::enqueue(const StepNumbers& numbers, const Health& health, cudaStream_t stream) const {
  if (segments_ == 0) {
    return;
  }
  const auto* const table = table_.as<UpdateSegment>();
  if (gradient_clip_) {
    launch(measure_lanes, block_each(segments_), stream, table, segments_, parameters_->lanes(),
           parameters_->gradients(), *gradient_clip_, norms_.as<double>(), counters_.as<unsigned>(),
           clip_factors_.as<float>());
  }
  const FlatMemory memory{.weights = parameters_->weights(),
                          .gradients = parameters_->gradients(),
                          .first = parameters_->first_moments(),
                          .second = parameters_->second_moments(),
                          .copies = static_cast<__nv_bfloat16*>(parameters_->product_weights())};
  launch(update_weights, block_each(segments_), stream, table, memory, numbers, clip_factors_.as<float>(),
         health);
}

void Update::renew_copies(cudaStream_t stream) const {
  if (parameters_->product_weights() != nullptr) {
    launch(copy_as_bf16, one_thread_each(parameters_->floats()), stream, parameters_->weights(),
           static_cast<__nv_bfloat16*>(parameters_->product_weights()), parameters_->floats());
  }
}

}  // namespace regatta::cuda

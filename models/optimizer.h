// The update of weights by gradients: one pass over the flat buffer, each lane with its own numbers. Follows
// PyTorch's torch.optim SGD, Adam and AdamW step by step. No device, no lanes' life: pure arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/model.h"
#include "models/network.h"

namespace regatta {

// A run of the flat buffer that belongs to one parameter of one lane.
struct OptimizerSegment {
  std::size_t offset = 0;  // in floats
  std::size_t size = 0;
  bool decays = false;
  int lane = 0;
};
// Covers the whole buffer in its order; long parameters are cut, so that threads get even shares and a
// segment's five arrays fit a core's cache.
std::vector<OptimizerSegment> optimizer_segments(const Network& network, int lanes);

// One lane's numbers for one step.
struct LaneUpdate {
  OptimizerConfig::Kind kind = OptimizerConfig::Kind::sgd;
  float gradient_scale = 1;  // clipping
  float lr = 0;              // with the schedule's factor
  float momentum = 0;
  bool nesterov = false;
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  float weight_decay = 0;
  float correction1 = 1;  // 1 - beta1^step
  float correction2 = 1;  // sqrt(1 - beta2^step)
};
// `step` counts from 1.
LaneUpdate plan_update(const OptimizerConfig& config, double schedule_factor, std::int64_t step);

// Whole flat buffers. first_moment: SGD's momentum or Adam's m; second_moment: Adam's v. Moments that a kind
// does not use are not touched.
struct OptimizerMemory {
  float* weights = nullptr;
  const float* gradients = nullptr;
  float* first_moment = nullptr;
  float* second_moment = nullptr;
};
// Whether all weights of the segment are finite afterwards.
bool update_segment(const OptimizerSegment& segment, const LaneUpdate& update, const OptimizerMemory& memory);

// For clipping: the factor that shortens a gradient of this squared length to at most `limit` (PyTorch's
// clip_grad_norm_).
double clip_factor(double squared_norm, double limit);
double squared_norm(const float* values, std::size_t size);

}  // namespace regatta

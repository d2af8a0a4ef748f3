// What a training step must do at least, counted from the network: the arithmetic of its matrix work, and the
// bytes that go through a device's memory.
#pragma once

#include "models/model.h"

namespace regatta {

// Multiplications and additions of a layer's matrix work for one sample, forward. Of causal attention half of
// the pairs of positions count.
double forward_flops(const PlannedLayer& layer);

struct StepCost {
  double flops = 0;  // forward, and backward to the weights and to all inputs but the network's
  // Inputs and outputs of layers with matrix work, each read and written once in either direction, the
  // gradients of both likewise, weights and moments. What stands between such layers counts nothing: it could
  // be done on the way.
  double bytes = 0;
};
// Of `rows` samples in each of `lanes` trials.
StepCost step_cost(const ModelConfig& config, std::int64_t rows, int lanes);

}  // namespace regatta

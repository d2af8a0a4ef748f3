// A second, naive implementation of networks: double precision, one loop an index, no backward pass. Engines
// are compared with it, their gradients with its finite differences.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/engine.h"
#include "models/model.h"

namespace regatta {

// Parameters and buffers of one lane by name.
using ReferenceValues = std::map<std::string, std::vector<double>>;
ReferenceValues reference_values(const LaneState& state);

struct ReferenceOptions {
  bool training = true;  // batch statistics and dropout
  std::uint64_t seed = 0;
  std::int64_t step = 0;
};

// The sum of the losses of the batch's first `count` rows.
double reference_loss(const ModelConfig& config, const ReferenceValues& values, const BatchView& batch,
                      const ReferenceOptions& options);

}  // namespace regatta

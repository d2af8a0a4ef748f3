// The lanes' state on the host.
#pragma once

#include <cstddef>
#include <vector>

#include "models/cuda/parameters.h"
#include "models/lane_trials.h"
#include "models/network.h"

namespace regatta::cuda {

// Trials start in it, and are saved from it.
struct HostState {
  HostState(const Network& network, int lanes)
      : weights(static_cast<std::size_t>(lanes * network.parameter_count)),
        first_moments(weights.size()),
        second_moments(weights.size()),
        buffers(static_cast<std::size_t>(lanes * network.buffer_count)),
        memory{.parameters = {.network = &network,
                              .lanes = lanes,
                              .all_lanes = lanes,
                              .weights = weights.data(),
                              .buffers = buffers.data()},
               .first_moments = first_moments.data(),
               .second_moments = second_moments.data()},
        trials(memory.parameters, first_moments.data(), second_moments.data()) {}

  std::vector<float> weights;
  std::vector<float> first_moments;
  std::vector<float> second_moments;
  std::vector<float> buffers;
  Parameters::HostMemory memory;
  LaneTrials trials;
};

}  // namespace regatta::cuda

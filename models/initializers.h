// First values of parameters: functions of (seed, parameter name, element), so that they depend neither on
// the lane, nor on the number of ranks, nor on which other parameters there are.
#pragma once

#include <cstdint>
#include <span>

#include "models/network.h"

namespace regatta {

// Fills one lane's values of a parameter; values.size() == parameter.size.
void initialize(const ParameterSpec& parameter, std::uint64_t seed, std::span<float> values);

}  // namespace regatta

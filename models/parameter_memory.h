// Where the lanes' parameters, gradients and buffers stand in flat memory; see Network for the order.
#pragma once

#include <string_view>

#include "models/network.h"

namespace regatta {

// Of all lanes, or of some neighbours, which are then counted from 0. In a device's memory or in the host's:
// nothing here reads it.
struct ParameterMemory {
  const Network* network = nullptr;
  int lanes = 1;
  int first_lane = 0;
  int all_lanes = 1;
  float* weights = nullptr;
  float* gradients = nullptr;
  float* buffers = nullptr;

  ParameterMemory of_lanes(int begin, int end) const;
  bool has(std::string_view name) const;
  float* weight(std::string_view name, int lane) const;
  float* gradient(std::string_view name, int lane) const;
  float* buffer(std::string_view name, int lane) const;
  // The same place of another flat buffer of the parameters: a moment's.
  float* of_lane(float* flat, const ParameterSpec& parameter, int lane) const {
    return flat + all_lanes * parameter.offset + (first_lane + lane) * parameter.size;
  }
};

}  // namespace regatta

// Parameters and buffers are found by their names, while programs are planned.
#include "models/parameter_memory.h"

#include <algorithm>

#include "base/check.h"

namespace regatta {
namespace {

template <class Specs>
const auto* find_spec(const Specs& specs, std::string_view name) {
  const auto found =
      std::find_if(specs.begin(), specs.end(), [&](const auto& spec) { return spec.name == name; });
  return found == specs.end() ? nullptr : &*found;
}

}  // namespace

ParameterMemory ParameterMemory::of_lanes(int begin, int end) const {
  CHECK(begin >= 0 && begin < end && end <= lanes);
  ParameterMemory part = *this;
  part.lanes = end - begin;
  part.first_lane = first_lane + begin;
  return part;
}

bool ParameterMemory::has(std::string_view name) const {
  return find_spec(network->parameters, name) != nullptr;
}

float* ParameterMemory::weight(std::string_view name, int lane) const {
  const ParameterSpec* spec = find_spec(network->parameters, name);
  CHECK(spec != nullptr, name);
  return of_lane(weights, *spec, lane);
}

float* ParameterMemory::gradient(std::string_view name, int lane) const {
  return gradients + (weight(name, lane) - weights);
}

float* ParameterMemory::buffer(std::string_view name, int lane) const {
  const BufferSpec* spec = find_spec(network->buffers, name);
  CHECK(spec != nullptr, name);
  return buffers + (first_lane + lane) * network->buffer_count + spec->offset;
}

}  // namespace regatta

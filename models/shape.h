// The shape of one sample of one lane: {channels, height, width} or {features}.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace regatta {

using Shape = std::vector<std::int64_t>;

std::int64_t element_count(const Shape& shape);  // product of the sizes; 1 for {}
std::string describe(const Shape& shape);        // "32×14×14"

}  // namespace regatta

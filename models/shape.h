// The shape of one sample of one lane: {channels, height, width}, {time, features} or {features}.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace regatta {

using Shape = std::vector<std::int64_t>;

std::int64_t element_count(const Shape& shape);  // product of the sizes; 1 for {}
std::string describe(const Shape& shape);        // "32×14×14"

// Whether it is {time, features}: positions in order, each with its features.
inline bool is_sequence(const Shape& shape) { return shape.size() == 2; }

// Places where a window fits along `size` elements, `padding` zeros on each side.
std::int64_t window_positions(std::int64_t size, std::int64_t window, std::int64_t stride,
                              std::int64_t padding);

}  // namespace regatta

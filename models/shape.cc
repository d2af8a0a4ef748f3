// Sizes and names of shapes.
#include "models/shape.h"

namespace regatta {

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    count *= size;
  }
  return count;
}

std::string describe(const Shape& shape) {
  std::string text;
  for (const std::int64_t size : shape) {
    text += (text.empty() ? "" : "×") + std::to_string(size);
  }
  return text;
}

std::int64_t window_positions(std::int64_t size, std::int64_t window, std::int64_t stride,
                              std::int64_t padding) {
  return (size + 2 * padding - window) / stride + 1;
}

}  // namespace regatta

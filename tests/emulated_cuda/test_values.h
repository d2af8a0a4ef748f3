// Numbers for the tests of single kernels, and how far two results are apart.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "models/cpu/bfloat16.h"

namespace regatta {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Values in [-1, 1) that differ from element to element, and never a pattern of the shape's sizes.
inline std::vector<float> values(std::int64_t count, std::uint32_t seed) {
  std::vector<float> made;
  for (std::int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525U + 1013904223U;
    made.push_back(static_cast<float>(seed >> 8U) / static_cast<float>(1U << 23U) - 1);
  }
  return made;
}

template <class T>
std::vector<T> as_elements(const std::vector<float>& numbers) {
  std::vector<T> elements(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    store(numbers[i], elements[i]);
  }
  return elements;
}

template <class T>
std::vector<T> nans(std::int64_t count) {
  return as_elements<T>(std::vector<float>(static_cast<std::size_t>(count), kNan));
}

// The largest difference, relative to the largest value.
template <class T, class U>
double difference(const std::vector<T>& found, const std::vector<U>& expected) {
  double largest = 0;
  double apart = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double wanted = to_float(expected[i]);
    const double error = std::abs(to_float(found[i]) - wanted);
    apart = std::isnan(error) ? std::numeric_limits<double>::infinity() : std::max(apart, error);
    largest = std::max(largest, std::abs(wanted));
  }
  return apart / largest;
}

}  // namespace regatta

// The upper half of a float: its range with 8 significant bits. Elements of activations, where a network
// computes with `precision: bf16`. Loops over elements are written once, with these conversions.
#pragma once

#include <bit>
#include <cstdint>

namespace regatta {

struct Bfloat16 {
  std::uint16_t bits = 0;
};

inline float to_float(float value) { return value; }
inline float to_float(Bfloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16U);
}

inline void store(float value, float& element) { element = value; }
// The nearest, the even one of two; NaN stays NaN.
inline void store(float value, Bfloat16& element) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t nearest = bits + 0x7fffU + ((bits >> 16U) & 1U);
  const std::uint32_t quiet = bits | 0x400000U;
  const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
  element.bits = static_cast<std::uint16_t>((is_nan ? quiet : nearest) >> 16U);
}

}  // namespace regatta

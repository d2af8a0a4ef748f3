// The upper half of a float: its range with 8 significant bits. Elements of activations, where a network
// computes with `precision: bf16`.
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

}  // namespace regatta

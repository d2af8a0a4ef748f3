// What the GPU backend stores its values as, and in which arithmetic it multiplies them.
// Sums are f32 in every mode.
#pragma once

#include <cstdint>
#include <string_view>

namespace regatta {

enum class ElementType { f32, bf16 };

inline std::int64_t bytes_of(ElementType type) { return type == ElementType::f32 ? 4 : 2; }
inline std::string_view describe(ElementType type) { return type == ElementType::f32 ? "f32" : "bf16"; }

enum class MathMode {
  fp32,  // products of f32 values in full precision: no tensor cores
  tf32,  // products of f32 values may drop 13 bits of their mantissa, as tensor cores do
  bf16,  // values are stored in bf16
};

inline std::string_view describe(MathMode mode) {
  constexpr std::string_view kNames[] = {"fp32", "tf32", "bf16"};
  return kNames[static_cast<int>(mode)];
}

inline ElementType element_type(MathMode mode) {
  return mode == MathMode::bf16 ? ElementType::bf16 : ElementType::f32;
}

}  // namespace regatta

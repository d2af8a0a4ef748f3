// How floats travel between hosts: as they are, or rounded to 16 bits, which halves the bytes. bf16 keeps the
// range of a float with 8 significant bits; fp16 keeps 11, but nothing above 65504 (it becomes infinite) and
// less and less below 6e-5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace regatta {

enum class Wire { fp32, bf16, fp16 };

constexpr std::size_t wire_bytes(Wire wire) { return wire == Wire::fp32 ? 4 : 2; }

// Rounds to nearest, ties to even, as IEEE 754 does. One bf16 rounding is off by at most 2^-8 of the value,
// one fp16 rounding by 2^-11 of it or by 2^-25, whichever is more. NaN stays NaN.
void encode(Wire wire, std::span<const float> values, std::byte* encoded);
void decode(Wire wire, const std::byte* encoded, std::span<float> values);
void add_decoded(Wire wire, const std::byte* encoded, std::span<float> sums);

}  // namespace regatta

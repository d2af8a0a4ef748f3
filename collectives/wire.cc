// Both 16-bit formats by integer arithmetic without branches, so that compilers make vector code for any
// machine.
#include "collectives/wire.h"

#include <bit>
#include <cstring>

#include "base/multiversion.h"

namespace regatta {
namespace {

constexpr std::uint32_t kInfinity = 0x7f800000U;

// The upper half of a float, rounded by what is cut off. A NaN keeps a bit of its mantissa.
struct Bf16 {
  static std::uint16_t encode(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = bits + 0x7fffU + ((bits >> 16) & 1U);
    const std::uint32_t quiet = bits | 0x400000U;
    return static_cast<std::uint16_t>(((bits & 0x7fffffffU) > kInfinity ? quiet : rounded) >> 16);
  }
  static float decode(std::uint16_t half) { return std::bit_cast<float>(std::uint32_t{half} << 16); }
};

// Normal numbers: the exponent's bias goes from 127 to 15 and 13 bits are rounded away, where a carry runs
// into the exponent as it should. Subnormal ones (below 2^-14): adding 0.5 aligns them so that the float unit
// rounds at 2^-24. Decoding multiplies by 2^112, which also brings subnormal numbers to their place.
struct Fp16 {
  static std::uint16_t encode(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = bits & 0x80000000U;
    const std::uint32_t size = bits ^ sign;
    const std::uint32_t normal = (size + 0xc8000fffU + ((size >> 13) & 1U)) >> 13;
    const std::uint32_t subnormal =
        std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5F) - 0x3f000000U;
    const std::uint32_t infinite = size > kInfinity ? 0x7e00U : 0x7c00U;
    const std::uint32_t finite = size < 0x38800000U ? subnormal : normal;
    return static_cast<std::uint16_t>((size >= 0x477ff000U ? infinite : finite) | (sign >> 16));
  }
  static float decode(std::uint16_t half) {
    const std::uint32_t sign = (std::uint32_t{half} & 0x8000U) << 16;
    const std::uint32_t size = (std::uint32_t{half} & 0x7fffU) << 13;
    const float scaled = std::bit_cast<float>(size) * 0x1p112F;
    const std::uint32_t special = size | kInfinity;
    return std::bit_cast<float>((size >= 0x0f800000U ? special : std::bit_cast<std::uint32_t>(scaled)) |
                                sign);
  }
};

// `wire` holds 16-bit numbers at any even address.
const std::uint16_t* halves(const std::byte* wire) { return reinterpret_cast<const std::uint16_t*>(wire); }

REGATTA_MULTIVERSION
void encode_bf16(const float* __restrict values, std::size_t count, std::uint16_t* __restrict to) {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = Bf16::encode(values[i]);
  }
}

REGATTA_MULTIVERSION
void decode_bf16(const std::uint16_t* __restrict from, std::size_t count, float* __restrict to) {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = Bf16::decode(from[i]);
  }
}

REGATTA_MULTIVERSION
void add_bf16(const std::uint16_t* __restrict from, std::size_t count, float* __restrict sums) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] += Bf16::decode(from[i]);
  }
}

REGATTA_MULTIVERSION
void encode_fp16(const float* __restrict values, std::size_t count, std::uint16_t* __restrict to) {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = Fp16::encode(values[i]);
  }
}

REGATTA_MULTIVERSION
void decode_fp16(const std::uint16_t* __restrict from, std::size_t count, float* __restrict to) {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = Fp16::decode(from[i]);
  }
}

REGATTA_MULTIVERSION
void add_fp16(const std::uint16_t* __restrict from, std::size_t count, float* __restrict sums) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] += Fp16::decode(from[i]);
  }
}

REGATTA_MULTIVERSION
void add_fp32(const float* __restrict from, std::size_t count, float* __restrict sums) {
  for (std::size_t i = 0; i < count; ++i) {
    sums[i] += from[i];
  }
}

}  // namespace

void encode(Wire wire, std::span<const float> values, std::byte* encoded) {
  auto* const to = reinterpret_cast<std::uint16_t*>(encoded);
  switch (wire) {
    case Wire::fp32:
      std::memcpy(encoded, values.data(), values.size_bytes());
      return;
    case Wire::bf16:
      encode_bf16(values.data(), values.size(), to);
      return;
    case Wire::fp16:
      encode_fp16(values.data(), values.size(), to);
      return;
  }
}

void decode(Wire wire, const std::byte* encoded, std::span<float> values) {
  switch (wire) {
    case Wire::fp32:
      std::memcpy(values.data(), encoded, values.size_bytes());
      return;
    case Wire::bf16:
      decode_bf16(halves(encoded), values.size(), values.data());
      return;
    case Wire::fp16:
      decode_fp16(halves(encoded), values.size(), values.data());
      return;
  }
}

void add_decoded(Wire wire, const std::byte* encoded, std::span<float> sums) {
  switch (wire) {
    case Wire::fp32:
      add_fp32(reinterpret_cast<const float*>(encoded), sums.size(), sums.data());
      return;
    case Wire::bf16:
      add_bf16(halves(encoded), sums.size(), sums.data());
      return;
    case Wire::fp16:
      add_fp16(halves(encoded), sums.size(), sums.data());
      return;
  }
}

}  // namespace regatta

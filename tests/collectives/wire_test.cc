// Rounding to 16 bits, against the definition of IEEE 754.
#include "collectives/wire.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace regatta {
namespace {

std::vector<float> through(Wire wire, const std::vector<float>& values) {
  std::vector<std::byte> encoded(values.size() * wire_bytes(wire));
  encode(wire, values, encoded.data());
  std::vector<float> decoded(values.size());
  decode(wire, encoded.data(), decoded);
  return decoded;
}

// Floats of every exponent, both signs, many mantissas; and those half way between two 16-bit numbers.
std::vector<float> many_floats() {
  const Random random(3, "floats");
  std::vector<float> values;
  for (std::uint64_t i = 0; i < 200'000; ++i) {
    const auto bits = static_cast<std::uint32_t>(random.bits(i));
    values.push_back(std::bit_cast<float>(bits));
    values.push_back(std::bit_cast<float>((bits & 0xffffe000U) | 0x1000U));  // half way in fp16
    values.push_back(std::bit_cast<float>((bits & 0xffff0000U) | 0x8000U));  // half way in bf16
  }
  return values;
}

// The nearest number with `mantissa` bits behind the point and no exponent below `lowest`, ties to even.
double rounded(float value, int mantissa, int lowest) {
  if (value == 0) {
    return value;
  }
  const double unit = std::ldexp(1.0, std::max(std::ilogb(value), lowest) - mantissa);
  return std::nearbyint(static_cast<double>(value) / unit) * unit;
}

void expect_rounded(Wire wire, int mantissa, int lowest, double largest) {
  const std::vector<float> values = many_floats();
  const std::vector<float> decoded = through(wire, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(decoded[i])) << std::bit_cast<std::uint32_t>(values[i]);
      continue;
    }
    double expected = rounded(values[i], mantissa, lowest);
    if (std::abs(expected) > largest) {
      expected = std::copysign(std::numeric_limits<double>::infinity(), values[i]);
    }
    ASSERT_EQ(decoded[i], static_cast<float>(expected)) << values[i];
    ASSERT_EQ(std::signbit(decoded[i]), std::signbit(values[i])) << values[i];
  }
}

TEST(Wire, Bf16RoundsToNearestEven) { expect_rounded(Wire::bf16, 7, -126, std::ldexp(255.0 / 128, 127)); }

TEST(Wire, Fp16RoundsToNearestEvenWithItsSubnormalNumbers) { expect_rounded(Wire::fp16, 10, -14, 65504); }

TEST(Wire, RoundingTwiceIsRoundingOnce) {
  for (const Wire wire : {Wire::fp32, Wire::bf16, Wire::fp16}) {
    const std::vector<float> once = through(wire, many_floats());
    const std::vector<float> twice = through(wire, once);
    for (std::size_t i = 0; i < once.size(); ++i) {
      ASSERT_TRUE(once[i] == twice[i] || std::isnan(once[i]));
    }
  }
}

TEST(Wire, AddsWhatWasEncodedInFullPrecision) {
  for (const Wire wire : {Wire::fp32, Wire::bf16, Wire::fp16}) {
    const std::vector<float> terms = {1, -2, 0.5F, 1024};
    std::vector<std::byte> encoded(terms.size() * wire_bytes(wire));
    encode(wire, terms, encoded.data());
    std::vector<float> sums = {1e-5F, 1e-5F, 1e-5F, 1e-3F};
    const std::vector<float> before = sums;
    add_decoded(wire, encoded.data(), sums);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      EXPECT_EQ(sums[i], before[i] + terms[i]);
    }
  }
}

}  // namespace
}  // namespace regatta

// exp, tanh and their kin for hot loops: without branches, calls or tables, so that a loop over them
// vectorises wherever it is inlined. Single precision, errors within a few units in the last place; a NaN
// stays one. Polynomials of the Cephes library (S. Moshier, single-precision expf and tanhf).
#pragma once

#include <bit>
#include <cstdint>

namespace regatta {

#define REGATTA_INLINE inline __attribute__((always_inline))

// e^x; 0 below about -87.3, and 1.7e38 at the most.
REGATTA_INLINE float vector_exp(float x) {
  constexpr float kLowest = -87.33654F;
  constexpr float kHighest = 88.02969F;     // below 127.5 ln 2
  constexpr float kRounding = 12582912.0F;  // 1.5 · 2²³: what is added to it is rounded to a whole number
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;  // few digits, so that its multiples are exact
  constexpr float kLn2Low = -2.12194440e-4F;
  const float above = x < kLowest ? kLowest : x;
  const float bounded = above > kHighest ? kHighest : above;
  const float biased = bounded * kLog2E + kRounding;
  const float whole = biased - kRounding;
  const float r = (bounded - whole * kLn2High) - whole * kLn2Low;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * (r * r) + r + 1;
  // 2^whole, by way of the exponent's bits.
  const std::uint32_t exponent =
      std::bit_cast<std::uint32_t>(biased) - std::bit_cast<std::uint32_t>(kRounding);
  const float power = std::bit_cast<float>((exponent + 127U) << 23U);
  return x < kLowest ? 0.0F : p * power;
}

REGATTA_INLINE float vector_sigmoid(float x) { return 1 / (1 + vector_exp(-x)); }

// 1 - 2 / (e^2|x| + 1) would lose digits near zero, where the odd polynomial is exact.
REGATTA_INLINE float vector_tanh(float x) {
  constexpr float kPolynomialUpTo = 0.625F;
  const float size = x < 0 ? -x : x;
  const float square = x * x;
  float p = -5.70498872745e-3F;
  p = p * square + 2.06390887954e-2F;
  p = p * square - 5.37397155531e-2F;
  p = p * square + 1.33314422036e-1F;
  p = p * square - 3.33332819422e-1F;
  const float near_zero = p * square * x + x;
  const float far = 1 - 2 / (vector_exp(2 * size) + 1);
  const float signed_far = x < 0 ? -far : far;
  return size < kPolynomialUpTo ? near_zero : signed_far;
}

// Φ(x) and φ(x), the distribution and the density of the normal distribution. erf by Abramowitz and
// Stegun 7.1.26; absolute error below 4e-7.
struct NormalPair {
  float distribution;
  float density;
};
REGATTA_INLINE NormalPair vector_normal(float x) {
  constexpr float kInverseRoot2 = 0.707106781F;
  constexpr float kInverseRoot2Pi = 0.398942280F;
  const float z = (x < 0 ? -x : x) * kInverseRoot2;
  const float bell = vector_exp(-(z * z));
  const float t = 1 / (1 + 0.3275911F * z);
  float p = 1.061405429F;
  p = p * t - 1.453152027F;
  p = p * t + 1.421413741F;
  p = p * t - 0.284496736F;
  p = p * t + 0.254829592F;
  const float tail = 0.5F * p * t * bell;  // Φ(-|x|)
  return {x < 0 ? tail : 1 - tail, bell * kInverseRoot2Pi};
}

}  // namespace regatta

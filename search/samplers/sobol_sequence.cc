// 32 bits of each coordinate are Sobol's, scrambled; the 21 below them are random.
#include "search/samplers/sobol_sequence.h"

#include "base/check.h"

namespace regatta {
namespace {

std::uint32_t reverse_bits(std::uint32_t x) {
  x = ((x & 0x55555555U) << 1) | ((x >> 1) & 0x55555555U);
  x = ((x & 0x33333333U) << 2) | ((x >> 2) & 0x33333333U);
  x = ((x & 0x0F0F0F0FU) << 4) | ((x >> 4) & 0x0F0F0F0FU);
  x = ((x & 0x00FF00FFU) << 8) | ((x >> 8) & 0x00FF00FFU);
  return (x << 16) | (x >> 16);
}

// The permutation of Laine and Karras with Burley's constants: a bit changes only with the bits below it,
// because the multipliers are even.
std::uint32_t laine_karras(std::uint32_t x, std::uint32_t seed) {
  x += seed;
  x ^= x * 0x6C50B47CU;
  x ^= x * 0xB82F1E52U;
  x ^= x * 0xC7AFE638U;
  x ^= x * 0x8D22F6E6U;
  return x;
}

}  // namespace

std::uint32_t owen_scramble(std::uint32_t fraction, std::uint32_t seed) {
  return reverse_bits(laine_karras(reverse_bits(fraction), seed));
}

SobolSequence::SobolSequence(std::size_t dimensions, const Random& random) : low_bits_(random.substream(1)) {
  CHECK(dimensions <= kMaxDimensions);
  if (dimensions > 0) {
    engine_.emplace(dimensions);
  }
  const Random scrambling = random.substream(0);
  for (std::size_t i = 0; i < dimensions; ++i) {
    seeds_.push_back(static_cast<std::uint32_t>(scrambling.bits(i)));
  }
}

// Boost leaves out the sequence's first point, the origin: its position n is point n + 1.
std::vector<double> SobolSequence::point(std::uint64_t index) {
  if (index > 0 && engine_) {
    engine_->seed(index - 1);
  }
  const Random low_bits = low_bits_.substream(index);
  std::vector<double> coordinates;
  for (std::size_t i = 0; i < seeds_.size(); ++i) {
    const std::uint64_t sobol = index > 0 ? (*engine_)() : 0;
    const std::uint64_t high = owen_scramble(static_cast<std::uint32_t>(sobol >> 32), seeds_[i]);
    coordinates.push_back(static_cast<double>((high << 21) | (low_bits.bits(i) >> 43)) * 0x1.0p-53);
  }
  return coordinates;
}

}  // namespace regatta

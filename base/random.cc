// Philox4x32-10 and what is built on it.
#include "base/random.h"

#include <bit>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace regatta {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kPhiloxRounds = 10;
constexpr int kFeistelRounds = 6;

// The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): spreads every input bit over the word.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// FNV-1a: stable across machines and versions, unlike std::hash.
constexpr std::uint64_t hash_name(std::string_view name) {
  std::uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
  return hash;
}

PhiloxCounter philox_at(std::uint64_t key, std::uint64_t index) {
  return philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, 0},
                    {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
}

double to_unit(std::uint32_t high, std::uint32_t low) {
  const std::uint64_t bits53 = ((static_cast<std::uint64_t>(high) << 32) | low) >> 11;
  return static_cast<double>(bits53) * 0x1.0p-53;
}

}  // namespace

PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t product0 = static_cast<std::uint64_t>(kMultiplier0) * counter[0];
    const std::uint64_t product1 = static_cast<std::uint64_t>(kMultiplier1) * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

Random::Random(std::uint64_t seed, std::string_view stream) : key_(mix(mix(seed) ^ hash_name(stream))) {}

Random Random::substream(std::uint64_t key) const { return Random(mix(key_ ^ mix(key))); }

std::uint64_t Random::bits(std::uint64_t index) const {
  const auto words = philox_at(key_, index);
  return (static_cast<std::uint64_t>(words[0]) << 32) | words[1];
}

double Random::uniform(std::uint64_t index) const {
  const auto words = philox_at(key_, index);
  return to_unit(words[0], words[1]);
}

double Random::normal(std::uint64_t index) const {
  const auto words = philox_at(key_, index);
  const double radius = std::sqrt(-2.0 * std::log1p(-to_unit(words[0], words[1])));
  return radius * std::cos(2.0 * std::numbers::pi * to_unit(words[2], words[3]));
}

std::uint64_t Random::below(std::uint64_t index, std::uint64_t bound) const {
  CHECK(bound > 0);
  // The high half of a 64 × 64 bit product; its bias of bound / 2^64 is far below anything that can be
  // observed.
  return static_cast<std::uint64_t>((static_cast<Wide>(bits(index)) * bound) >> 64);
}

Permutation::Permutation(std::uint64_t size, const Random& random)
    : size_(size), key_(random.key()), half_bits_((std::bit_width(size > 1 ? size - 1 : 1) + 1) / 2) {
  CHECK(size > 0);
}

std::uint64_t Permutation::operator[](std::uint64_t index) const {
  CHECK(index < size_);
  const std::uint64_t half_mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t image = index;
  do {
    std::uint64_t left = image >> half_bits_;
    std::uint64_t right = image & half_mask;
    for (std::uint64_t round = 0; round < kFeistelRounds; ++round) {
      const std::uint64_t next = left ^ (mix(key_ ^ mix((round << 56) ^ right)) & half_mask);
      left = right;
      right = next;
    }
    image = (left << half_bits_) | right;
  } while (image >= size_);
  return image;
}

}  // namespace regatta

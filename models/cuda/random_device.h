// The numbers of base/random.h on the device, bit for bit. A Random is its key here. For kernels only.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace regatta::cuda {

struct PhiloxWords {
  std::uint32_t at[4];
};

// philox4x32({index, index >> 32, 0, 0}, {key, key >> 32})
__device__ __forceinline__ PhiloxWords philox_at(std::uint64_t key, std::uint64_t index) {
  constexpr int kRounds = 10;
  constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
  std::uint32_t words[4] = {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, 0};
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
#pragma unroll
  for (int round = 0; round < kRounds; ++round) {
    const std::uint32_t high0 = __umulhi(kMultiplier0, words[0]);
    const std::uint32_t high1 = __umulhi(kMultiplier1, words[2]);
    const std::uint32_t low0 = kMultiplier0 * words[0];
    const std::uint32_t low1 = kMultiplier1 * words[2];
    words[0] = high1 ^ words[1] ^ key0;
    words[1] = low1;
    words[2] = high0 ^ words[3] ^ key1;
    words[3] = low0;
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return {{words[0], words[1], words[2], words[3]}};
}

// The finaliser of SplitMix64.
__device__ __forceinline__ std::uint64_t mix_bits(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

// The key of Random::substream(number).
__device__ __forceinline__ std::uint64_t random_substream(std::uint64_t key, std::uint64_t number) {
  return mix_bits(key ^ mix_bits(number));
}

__device__ __forceinline__ std::uint64_t random_bits(std::uint64_t key, std::uint64_t index) {
  const PhiloxWords words = philox_at(key, index);
  return static_cast<std::uint64_t>(words.at[0]) << 32 | words.at[1];
}

__device__ __forceinline__ double random_uniform(std::uint64_t key, std::uint64_t index) {
  return static_cast<double>(random_bits(key, index) >> 11) * 0x1.0p-53;
}

__device__ __forceinline__ std::uint64_t random_below(std::uint64_t key, std::uint64_t index,
                                                      std::uint64_t bound) {
  return __umul64hi(random_bits(key, index), bound);
}

// Permutation(size, Random(key))[index]
__device__ __forceinline__ std::uint64_t permuted(std::uint64_t key, std::uint64_t size,
                                                  std::uint64_t index) {
  constexpr int kRounds = 6;
  const int bits = 64 - __clzll(static_cast<long long>(size > 1 ? size - 1 : 1));
  const int half_bits = (bits + 1) / 2;
  const std::uint64_t half_mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t image = index;
  do {
    std::uint64_t left = image >> half_bits;
    std::uint64_t right = image & half_mask;
    for (std::uint64_t round = 0; round < kRounds; ++round) {
      const std::uint64_t next = left ^ (mix_bits(key ^ mix_bits(round << 56 ^ right)) & half_mask);
      left = right;
      right = next;
    }
    image = left << half_bits | right;
  } while (image >= size);
  return image;
}

}  // namespace regatta::cuda

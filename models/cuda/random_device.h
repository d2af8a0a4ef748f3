// The generator of base/random.h on the device: Philox4x32-10. For kernels only.
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

}  // namespace regatta::cuda

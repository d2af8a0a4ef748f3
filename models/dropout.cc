// Philox4x32-10 (see base/random.h) on many counters at once.
#include "models/dropout.h"

#include <algorithm>
#include <cmath>

#include "base/multiversion.h"
#include "base/random.h"

namespace regatta {
namespace {

constexpr int kCounters = 16;  // as many as an AVX-512 register has words
constexpr int kWords = 4;
constexpr int kRounds = 10;

// words[w][i] = word w of the generator at counter first + i.
REGATTA_MULTIVERSION
void philox_block(std::uint64_t key, std::uint64_t first, std::uint32_t (*words)[kCounters]) {
  for (int i = 0; i < kCounters; ++i) {
    const std::uint64_t counter = first + static_cast<std::uint64_t>(i);
    words[0][i] = static_cast<std::uint32_t>(counter);
    words[1][i] = static_cast<std::uint32_t>(counter >> 32);
    words[2][i] = 0;
    words[3][i] = 0;
  }
  auto key0 = static_cast<std::uint32_t>(key);
  auto key1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < kRounds; ++round) {
#pragma omp simd
    for (int i = 0; i < kCounters; ++i) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53} * words[0][i];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * words[2][i];
      words[0][i] = static_cast<std::uint32_t>(product1 >> 32) ^ words[1][i] ^ key0;
      words[1][i] = static_cast<std::uint32_t>(product1);
      words[2][i] = static_cast<std::uint32_t>(product0 >> 32) ^ words[3][i] ^ key1;
      words[3][i] = static_cast<std::uint32_t>(product0);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

}  // namespace

std::uint64_t dropout_key(std::uint64_t seed, int layer, std::int64_t step) {
  return Random(seed, "dropout")
      .substream(static_cast<std::uint64_t>(layer))
      .substream(static_cast<std::uint64_t>(step))
      .key();
}

std::uint32_t dropout_threshold(double rate) {
  return static_cast<std::uint32_t>(std::min(std::floor(rate * 0x1p32), 0x1p32 - 1));
}

void fill_dropout_mask(std::uint64_t key, double rate, std::int64_t row, std::span<std::uint8_t> mask) {
  const std::uint32_t threshold = dropout_threshold(rate);
  const std::size_t counters = (mask.size() + kWords - 1) / kWords;
  const std::uint64_t first = static_cast<std::uint64_t>(row) * counters;
  std::uint32_t words[kWords][kCounters];
  for (std::size_t done = 0; done < counters; done += kCounters) {
    philox_block(key, first + done, words);
    const std::size_t begin = done * kWords;
    const std::size_t size = std::min<std::size_t>(kCounters * kWords, mask.size() - begin);
    for (std::size_t i = 0; i < size; ++i) {
      mask[begin + i] = words[i % kWords][i / kWords] >= threshold ? 1 : 0;
    }
  }
}

}  // namespace regatta

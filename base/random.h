// Counter-based random numbers: every number is a function of (seed, stream, index), never of history.
// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11. The same
// function runs on a GPU, so data order, dropout and initial weights do not depend on the device or the
// number of ranks.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace regatta {

using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

// The raw generator: 128 random bits for a counter and a key.
PhiloxCounter philox4x32(PhiloxCounter counter, PhiloxKey key);

// An immutable family of numbers; copying is free and threads may share one.
class Random {
 public:
  // `stream` names the purpose ("data order", "initial weights"), so that two purposes never share numbers.
  Random(std::uint64_t seed, std::string_view stream);

  // An independent family, for example one per trial or per epoch.
  Random substream(std::uint64_t key) const;

  std::uint64_t bits(std::uint64_t index) const;
  double uniform(std::uint64_t index) const;                            // in [0, 1)
  double normal(std::uint64_t index) const;                             // mean 0, variance 1 (Box-Muller)
  std::uint64_t below(std::uint64_t index, std::uint64_t bound) const;  // in [0, bound); bound > 0

  std::uint64_t key() const { return key_; }

 private:
  explicit Random(std::uint64_t key) : key_(key) {}
  std::uint64_t key_;
};

// A random bijection of {0, …, size-1}, each image in O(1) without a table: a Feistel network over the next
// even power of two, walked until the image falls inside (Black and Rogaway, "Ciphers with arbitrary finite
// domains", 2002).
class Permutation {
 public:
  Permutation(std::uint64_t size, const Random& random);
  std::uint64_t operator[](std::uint64_t index) const;
  std::uint64_t size() const { return size_; }

 private:
  std::uint64_t size_;
  std::uint64_t key_;
  int half_bits_;
};

}  // namespace regatta

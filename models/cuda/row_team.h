// Threads that work on one row together: a warp, or a whole block where rows are long.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "base/check.h"
#include "models/cuda/launch_shape.h"

namespace regatta::cuda {

inline constexpr int kTeamBlock = 256;  // threads of a block

// For kernels that are started by with_row_teams(). Whoever's row is not below the number of rows returns at
// once; the others' sums meet in a fixed order.
template <int Warps>
class RowTeam {
 public:
  static constexpr int kThreads = 32 * Warps;
  static constexpr int kRowsOfABlock = kTeamBlock / kThreads;

  __device__ __forceinline__ std::int64_t row() const {
    return static_cast<std::int64_t>(blockIdx.x) * kRowsOfABlock + threadIdx.x / kThreads;
  }
  __device__ __forceinline__ int thread() const { return static_cast<int>(threadIdx.x) % kThreads; }

  // Calls work(i) for this thread's share of the multiples of `Size` in [0, count).
  template <int Size = 1, class Work>
  __device__ __forceinline__ void each(std::int64_t count, const Work& work) const {
    for (std::int64_t i = thread() * Size; i < count; i += kThreads * Size) {
      work(i);
    }
  }

  __device__ __forceinline__ float sum(float value) const {
    return reduce(value, [](float a, float b) { return a + b; });
  }
  __device__ __forceinline__ float largest(float value) const {
    return reduce(value, [](float a, float b) { return a > b ? a : b; });
  }

 private:
  template <class Combine>
  __device__ __forceinline__ float reduce(float value, const Combine& combine) const {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      value = combine(value, __shfl_xor_sync(0xFFFFFFFF, value, distance));
    }
    if constexpr (Warps > 1) {
      static_assert(kRowsOfABlock == 1);
      __shared__ float parts[Warps];
      __syncthreads();  // an earlier reduction has been read
      if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = value;
      }
      __syncthreads();
      value = parts[0];
      for (int i = 1; i < Warps; ++i) {
        value = combine(value, parts[i]);
      }
    }
    return value;
  }
};

inline LaunchShape row_teams(std::int64_t rows, int rows_of_a_block) {
  const std::int64_t blocks = std::max<std::int64_t>((rows + rows_of_a_block - 1) / rows_of_a_block, 1);
  CHECK(blocks <= kMaxBlocks, "the rows do not fit into one grid");
  return {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(kTeamBlock)};
}

// Calls function(number of warps, shape) with what suits rows of so many steps of one thread's work.
template <class Function>
void with_row_teams(std::int64_t rows, std::int64_t steps_of_a_row, const Function& function) {
  constexpr int kBlocWarps = kTeamBlock / 32;
  constexpr std::int64_t kStepsOfAWarp = 32 * 32;
  if (steps_of_a_row <= kStepsOfAWarp) {
    function(std::integral_constant<int, 1>(), row_teams(rows, RowTeam<1>::kRowsOfABlock));
  } else {
    function(std::integral_constant<int, kBlocWarps>(), row_teams(rows, RowTeam<kBlocWarps>::kRowsOfABlock));
  }
}

}  // namespace regatta::cuda

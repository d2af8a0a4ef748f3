// Sums over the threads of a block, always in the same order. For kernels only.
#pragma once

#include <cuda_runtime.h>

namespace regatta::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllOfWarp = 0xffffffffU;

// Every thread of the warp gets the sum.
template <class Value>
__device__ __forceinline__ Value warp_sum(Value value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllOfWarp, value, distance);
  }
  return value;
}

// Thread 0 gets the sum; `Threads`, a multiple of a warp, all call it. May be called again after a
// __syncthreads().
template <int Threads, class Value>
__device__ __forceinline__ Value block_sum(Value value) {
  __shared__ Value of_warps[Threads / kWarp];
  value = warp_sum(value);
  if (threadIdx.x % kWarp == 0) {
    of_warps[threadIdx.x / kWarp] = value;
  }
  __syncthreads();
  Value sum = 0;
  if (threadIdx.x == 0) {
    for (int warp = 0; warp < Threads / kWarp; ++warp) {
      sum += of_warps[warp];
    }
  }
  return sum;
}

}  // namespace regatta::cuda

// Where a thread stands in its grid. For kernels only: the built-in variables exist nowhere else.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace regatta::cuda {

// Among all threads of a one-dimensional grid; 64 bits wide, since blocks × threads may pass 2^32.
__device__ __forceinline__ std::int64_t thread_in_grid() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ std::int64_t threads_in_grid() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

// Calls work(i) for this thread's share of [0, count): right for a grid of any size.
template <class Work>
__device__ __forceinline__ void each_element(std::int64_t count, const Work& work) {
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    work(i);
  }
}

}  // namespace regatta::cuda

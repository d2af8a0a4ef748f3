// Sums over all blocks of a kernel within that kernel: the block that comes last adds up what the others
// left, always in the same order, which saves a kernel of its own. For kernels only.
#pragma once

#include <cuda_runtime.h>

namespace regatta::cuda {

// Whether all of `blocks` blocks have come here but this one, which sees what they wrote. Every thread of the
// block calls it. The counter is zero at first, and again afterwards.
__device__ __forceinline__ bool is_last_block(unsigned* counter, unsigned blocks) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0 && threadIdx.y == 0) {
    is_last = atomicInc(counter, blocks - 1) == blocks - 1;
  }
  __syncthreads();
  __threadfence();
  return is_last;
}

// What another block of this kernel wrote: not from this multiprocessor's own cache.
template <class Value>
__device__ __forceinline__ Value read_fresh(const Value* at) {
  return *static_cast<const volatile Value*>(at);
}

}  // namespace regatta::cuda

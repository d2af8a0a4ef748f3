// How a step begins: its first kernel, which brings the batch, also takes the next slot of the step's numbers
// (models/cuda/step_ring.h). For kernels and what launches them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

#include "models/cuda/last_block.h"
#include "models/cuda/step_numbers.h"

namespace regatta::cuda {

// The first kernel's own view of the batch's numbers, in the block's shared memory; the blocks share
// handing all numbers on to later kernels: one wait for the host's memory. All threads call it, once.
__device__ __forceinline__ BatchNumbers begin_step(const StepStart& start) {
  constexpr unsigned kWords = sizeof(BatchNumbers) / sizeof(std::uint32_t);
  __shared__ std::uint32_t words[kWords];
  const std::uint32_t* const slot = start.slots + *start.position % start.slot_count * start.slot_words;
  for (unsigned i = threadIdx.x; i < kWords; i += blockDim.x) {
    words[i] = slot[i];
  }
  const std::int64_t block = std::int64_t{blockIdx.y} * gridDim.x + blockIdx.x;
  const std::int64_t threads = std::int64_t{gridDim.x} * gridDim.y * blockDim.x;
  for (std::int64_t i = block * blockDim.x + threadIdx.x; i < start.slot_words; i += threads) {
    start.current[i] = slot[i];
  }
  __syncthreads();
  BatchNumbers batch;
  memcpy(&batch, words, sizeof batch);
  return batch;
}

// Ends the first kernel: every thread of every block calls it, once, after what it reads of the batch's
// numbers. True for one thread of the last block, when all others have done so.
__device__ __forceinline__ bool end_step_start(const StepStart& start) {
  if (!is_last_block(start.finished, gridDim.x * gridDim.y) || threadIdx.x != 0) {
    return false;
  }
  ++*start.position;
  return true;
}

// Few enough blocks that each may read the numbers for itself, from the host's memory.
inline constexpr unsigned kMostStartBlocks = 512;

}  // namespace regatta::cuda

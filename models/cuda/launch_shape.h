// How many threads a kernel gets: the grid, its blocks and their dynamic shared memory.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"

namespace regatta::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;  // more than 48 KiB need cudaFuncAttributeMaxDynamicSharedMemorySize first
};

inline constexpr std::int64_t kMaxBlocks = 2147483647;  // in x; 65,535 in y and z

// A thread for each of `count` elements, one at least: a grid of no blocks is an error in CUDA. The last
// block's threads may lie beyond `count`, so the kernel asks, or loops with each_element
// (models/cuda/device.h).
inline LaunchShape one_thread_each(std::int64_t count, int block = 256) {
  const std::int64_t blocks = std::max<std::int64_t>((count + block - 1) / block, 1);
  CHECK(count >= 0 && blocks <= kMaxBlocks, "the elements do not fit into one grid");
  return {.grid = dim3(static_cast<unsigned>(blocks)), .block = dim3(static_cast<unsigned>(block))};
}

}  // namespace regatta::cuda

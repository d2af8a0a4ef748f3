// How the kernels of batch normalisation share the points to be summed up, and how many of them count. For
// kernels and what launches them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/batch_norm_kernels.h"
#include "models/cuda/columns.h"

namespace regatta::cuda {

inline ColumnWork sum_work(const BatchNormShape& shape, int pack) {
  constexpr std::int64_t kBlocks = 512;  // a few for each multiprocessor
  return column_work(shape.points, shape.width, pack, kBlocks);
}

__device__ __forceinline__ std::int64_t points_in_use(const BatchNumbers* batch, std::int64_t positions) {
  return batch->count * positions;
}

}  // namespace regatta::cuda

// How threads share work that comes as rows of equally many pieces, a piece being what one thread does at
// once. Several short rows are one block's, a long row is many blocks'; so the place within a row takes 32
// bits, and its divisions are cheap, however large the whole is. For kernels and what launches them.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/check.h"
#include "models/cuda/launch_shape.h"

namespace regatta::cuda {

struct RowWork {
  std::int64_t rows = 0;
  std::uint32_t pieces = 0;          // of a row
  std::uint32_t rows_per_block = 1;  // of all blocks with one blockIdx.x
};

inline RowWork row_work(std::int64_t rows, std::int64_t pieces) {
  constexpr std::int64_t kPiecesPerBlock = 1024;
  CHECK(pieces > 0 && pieces < std::numeric_limits<std::int32_t>::max(), "a row has fewer than 2^31 pieces");
  const std::int64_t together = std::max<std::int64_t>(1, kPiecesPerBlock / pieces);
  return {.rows = rows,
          .pieces = static_cast<std::uint32_t>(pieces),
          .rows_per_block = static_cast<std::uint32_t>(std::min(together, std::max<std::int64_t>(1, rows)))};
}

inline LaunchShape launch_shape(const RowWork& work) {
  constexpr std::int64_t kThreads = 256;
  constexpr std::int64_t kMostBlocksInY = 65535;
  const std::int64_t pieces = std::int64_t{work.pieces} * work.rows_per_block;
  const std::int64_t groups = (work.rows + work.rows_per_block - 1) / work.rows_per_block;
  CHECK(groups <= kMaxBlocks);
  return {.grid = dim3(static_cast<unsigned>(std::max<std::int64_t>(groups, 1)),
                       static_cast<unsigned>(std::min((pieces + kThreads - 1) / kThreads, kMostBlocksInY))),
          .block = dim3(static_cast<unsigned>(kThreads))};
}

// Calls work(row, piece) for this thread's share of the rows_per_block rows from `first` on.
template <class Work>
__device__ __forceinline__ void each_piece_from(std::int64_t first, const RowWork& shape, const Work& work) {
  const std::int64_t left = shape.rows - first;
  const std::uint32_t rows =
      left < shape.rows_per_block ? static_cast<std::uint32_t>(left) : shape.rows_per_block;
  for (std::uint32_t i = blockIdx.y * blockDim.x + threadIdx.x; i < rows * shape.pieces;
       i += gridDim.y * blockDim.x) {
    work(first + i / shape.pieces, i % shape.pieces);
  }
}

// Of the rows of this thread's block.
template <class Work>
__device__ __forceinline__ void each_piece(const RowWork& shape, const Work& work) {
  each_piece_from(static_cast<std::int64_t>(blockIdx.x) * shape.rows_per_block, shape, work);
}

}  // namespace regatta::cuda

// How threads share a matrix [points, width] whose columns are channels of all lanes: a thread has a few
// neighbouring columns and many points, so what belongs to a channel stays in registers, and sums over points
// have a fixed order. For kernels and what launches them.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "models/cuda/elements.h"
#include "models/cuda/last_block.h"
#include "models/cuda/launch_shape.h"

namespace regatta::cuda {

// Of a kernel whose blocks are threads_across columns' packs wide and kColumnThreads / threads_across points
// high. Block (x, y) has the y-th chunk of the points.
inline constexpr int kColumnThreads = 256;

struct ColumnWork {
  std::int64_t points = 0;
  std::int64_t width = 0;  // in elements
  std::int64_t chunk = 1;  // points of a block
  int pack = 1;            // columns of a thread
  int threads_across = 1;

  std::int64_t chunks() const { return (points + chunk - 1) / chunk; }
};

// About `blocks` of them, unless that leaves a thread fewer than kFewestPoints. The same on every device, so
// that sums have the same bits.
inline ColumnWork column_work(std::int64_t points, std::int64_t width, int pack, std::int64_t blocks) {
  constexpr std::int64_t kFewestPoints = 4;
  ColumnWork work{.points = points, .width = width, .pack = pack};
  const std::int64_t packs = width / pack;
  CHECK(points > 0 && packs * pack == width);
  while (work.threads_across < 32 && work.threads_across < packs) {
    work.threads_across *= 2;
  }
  const std::int64_t height = kColumnThreads / work.threads_across;
  const std::int64_t across = (packs + work.threads_across - 1) / work.threads_across;
  const std::int64_t wanted = std::max<std::int64_t>(1, blocks / across);
  const std::int64_t each = (points + wanted * height - 1) / (wanted * height);  // points of a thread
  work.chunk = std::max(each, kFewestPoints) * height;
  CHECK(work.chunks() <= 65535);
  return work;
}

inline LaunchShape launch_shape(const ColumnWork& work) {
  const std::int64_t packs = work.width / work.pack;
  return {.grid = dim3(static_cast<unsigned>((packs + work.threads_across - 1) / work.threads_across),
                       static_cast<unsigned>(work.chunks())),
          .block = dim3(static_cast<unsigned>(work.threads_across),
                        static_cast<unsigned>(kColumnThreads / work.threads_across))};
}

// The columns and points of a thread; those of the last block across may lie beyond the width.
template <int Size>
struct ThreadColumns {
  std::int64_t column;
  bool inside;
  std::int64_t first;  // and every blockDim.y-th one after it, before `end`
  std::int64_t end;

  __device__ ThreadColumns(const ColumnWork& work, std::int64_t points) {
    column = (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * Size;
    inside = column < work.width;
    const std::int64_t begin = blockIdx.y * work.chunk;
    first = begin + threadIdx.y;
    end = min(begin + work.chunk, points);
  }
};

// Adds the values of the threads that have the same columns; thread (x, 0) gets the sums. Every thread of the
// block calls it; again after a __syncthreads() only.
template <int Size, int Kinds>
__device__ __forceinline__ void sum_over_block(Floats<Size> (&sums)[Kinds]) {
  __shared__ float shared[Kinds * Size][kColumnThreads];
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int i = 0; i < Kinds * Size; ++i) {
    shared[i][thread] = sums[i / Size].at[i % Size];
  }
  __syncthreads();
  for (unsigned height = blockDim.y / 2; height > 0; height /= 2) {
    if (threadIdx.y < height) {
#pragma unroll
      for (int i = 0; i < Kinds * Size; ++i) {
        shared[i][thread] += shared[i][thread + height * blockDim.x];
      }
    }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < Kinds * Size; ++i) {
    sums[i / Size].at[i % Size] = shared[i][thread];
  }
}

// Adds the sums of all chunks: true in the last block of some columns, whose thread (x, 0) then has them,
// always added in the same order. partial: [chunks][Kinds][width]. Every thread of the block calls it, once a
// kernel.
template <int Size, int Kinds>
__device__ __forceinline__ bool sum_over_chunks(const ColumnWork& work, std::int64_t column, bool inside,
                                                float* partial, unsigned* counters,
                                                Floats<Size> (&sums)[Kinds]) {
  sum_over_block(sums);
  if (gridDim.y == 1) {
    return true;
  }
  const auto place = [&](std::int64_t chunk, int kind) {
    return partial + (chunk * Kinds + kind) * work.width + column;
  };
#pragma unroll
  for (int i = 0; i < Kinds * Size; ++i) {
    if (threadIdx.y == 0 && inside) {
      place(blockIdx.y, i / Size)[i % Size] = sums[i / Size].at[i % Size];
    }
  }
  if (!is_last_block(counters + blockIdx.x, gridDim.y)) {
    return false;
  }
#pragma unroll
  for (int i = 0; i < Kinds * Size; ++i) {
    sums[i / Size].at[i % Size] = 0;
  }
  for (std::int64_t chunk = threadIdx.y; inside && chunk < gridDim.y; chunk += blockDim.y) {
#pragma unroll
    for (int i = 0; i < Kinds * Size; ++i) {
      sums[i / Size].at[i % Size] += read_fresh(place(chunk, i / Size) + i % Size);
    }
  }
  sum_over_block(sums);
  return true;
}

// The second stage of such sums: partial[chunk][kind][width], a block of kChunkThreads threads high for
// kChunkColumns columns.
inline constexpr int kChunkColumns = 32;
inline constexpr int kChunkThreads = 16;

inline LaunchShape chunk_shape(std::int64_t width) {
  return {.grid = dim3(static_cast<unsigned>((width + kChunkColumns - 1) / kChunkColumns)),
          .block = dim3(kChunkColumns, kChunkThreads)};
}

__device__ __forceinline__ std::int64_t chunk_column() {
  return static_cast<std::int64_t>(blockIdx.x) * kChunkColumns + threadIdx.x;
}

// Thread (x, 0) gets the sums of its column. Every thread of the block calls it, once a kernel.
template <int Kinds>
__device__ __forceinline__ void sum_chunks(const float* partial, std::int64_t chunks, std::int64_t width,
                                           double (&sums)[Kinds]) {
  __shared__ double shared[Kinds][kChunkThreads][kChunkColumns];
  const std::int64_t column = chunk_column();
#pragma unroll
  for (int kind = 0; kind < Kinds; ++kind) {
    double sum = 0;
    for (std::int64_t chunk = threadIdx.y; column < width && chunk < chunks; chunk += kChunkThreads) {
      sum += static_cast<double>(partial[(chunk * Kinds + kind) * width + column]);
    }
    shared[kind][threadIdx.y][threadIdx.x] = sum;
  }
  __syncthreads();
#pragma unroll
  for (int kind = 0; kind < Kinds; ++kind) {
    sums[kind] = 0;
    for (int i = 0; threadIdx.y == 0 && i < kChunkThreads; ++i) {
      sums[kind] += shared[kind][i][threadIdx.x];
    }
  }
}

}  // namespace regatta::cuda

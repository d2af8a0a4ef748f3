// In two stages: blocks sum chunks of the points, then the chunks' sums are added.
#include "models/cuda/column_sums.h"
#include "models/cuda/columns.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"

namespace regatta::cuda {
namespace {

constexpr std::int64_t kBlocks = 512;  // a few for each multiprocessor

template <int Size, class Element>
__global__ void sum_points(ColumnWork work, const Element* __restrict__ matrix, float* __restrict__ partial) {
  const ThreadColumns<Size> columns(work, work.points);
  Floats<Size> sums[1] = {};
  if (columns.inside) {
#pragma unroll 4
    for (std::int64_t point = columns.first; point < columns.end; point += blockDim.y) {
      const Floats<Size> values = load<Size>(matrix + point * work.width + columns.column);
#pragma unroll
      for (int i = 0; i < Size; ++i) {
        sums[0].at[i] += values.at[i];
      }
    }
  }
  sum_over_block(sums);
  if (threadIdx.y == 0 && columns.inside) {
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      partial[blockIdx.y * work.width + columns.column + i] = sums[0].at[i];
    }
  }
}

__global__ void add_chunks(const float* __restrict__ partial, std::int64_t chunks, std::int64_t width,
                           float* __restrict__ results) {
  double sums[1];
  sum_chunks(partial, chunks, width, sums);
  if (threadIdx.y == 0 && chunk_column() < width) {
    results[chunk_column()] = static_cast<float>(sums[0]);
  }
}

}  // namespace

ColumnSums::ColumnSums(Planner& planner, std::int64_t points, std::int64_t width, ElementType type)
    : points_(points), width_(width), type_(type) {
  with_packs(type_, width_, [&](auto, auto size) {
    const ColumnWork work = column_work(points_, width_, decltype(size)::value, kBlocks);
    partial_ = planner.allocate_values(work.chunks() * width_, ElementType::f32);
  });
}

void ColumnSums::enqueue(const Step& step, const void* matrix, float* sums) const {
  with_packs(type_, width_, [&](auto element, auto size) {
    using Element = decltype(element);
    constexpr int kSize = decltype(size)::value;
    const ColumnWork work = column_work(points_, width_, kSize, kBlocks);
    // One chunk's sums are the result.
    float* const partial = work.chunks() == 1 ? sums : step.data<float>(partial_);
    launch(sum_points<kSize, Element>, launch_shape(work), step.stream, work,
           static_cast<const Element*>(matrix), partial);
    if (work.chunks() > 1) {
      launch(add_chunks, chunk_shape(width_), step.stream, partial, work.chunks(), width_, sums);
    }
  });
}

}  // namespace regatta::cuda

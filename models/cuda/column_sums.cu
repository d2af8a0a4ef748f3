// Blocks sum chunks of the points; the last one of some columns adds the chunks' sums.
#include "models/cuda/column_sums.h"
#include "models/cuda/columns.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"

namespace regatta::cuda {
namespace {

constexpr std::int64_t kBlocks = 512;  // a few for each multiprocessor

template <int Size, class Element>
__global__ void sum_columns(ColumnWork work, const Element* __restrict__ matrix, float* partial,
                            unsigned* counters, std::int64_t columns, float* results) {
  const ThreadColumns<Size> own(work, work.points);
  Floats<Size> sums[1] = {};
  if (own.inside) {
#pragma unroll 4
    for (std::int64_t point = own.first; point < own.end; point += blockDim.y) {
      const Floats<Size> values = load<Size>(matrix + point * work.width + own.column);
#pragma unroll
      for (int i = 0; i < Size; ++i) {
        sums[0].at[i] += values.at[i];
      }
    }
  }
  if (!sum_over_chunks(work, own.column, own.inside, partial, counters, sums)) {
    return;
  }
#pragma unroll
  for (int i = 0; i < Size; ++i) {
    if (threadIdx.y == 0 && own.column + i < columns) {
      results[own.column + i] = sums[0].at[i];
    }
  }
}

}  // namespace

ColumnSums::ColumnSums(Planner& planner, std::int64_t points, std::int64_t width, std::int64_t columns,
                       ElementType type)
    : points_(points), width_(width), columns_(columns), type_(type) {
  with_packs(type_, width_, [&](auto, auto size) {
    const ColumnWork work = column_work(points_, width_, decltype(size)::value, kBlocks);
    partial_ = planner.allocate_values(work.chunks() * width_, ElementType::f32);
    counters_ = planner.allocate_counters(launch_shape(work).grid.x);
  });
}

void ColumnSums::enqueue(const Step& step, const void* matrix, float* sums) const {
  with_packs(type_, width_, [&](auto element, auto size) {
    using Element = decltype(element);
    constexpr int kSize = decltype(size)::value;
    const ColumnWork work = column_work(points_, width_, kSize, kBlocks);
    launch(sum_columns<kSize, Element>, launch_shape(work), step.stream, work,
           static_cast<const Element*>(matrix), step.data<float>(partial_), step.counters + counters_,
           columns_, sums);
  });
}

}  // namespace regatta::cuda

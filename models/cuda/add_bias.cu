// See add_bias.h. A thread keeps the bias of its columns for many points.
#include "models/cuda/add_bias.h"
#include "models/cuda/columns.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"

namespace regatta::cuda {
namespace {

constexpr std::int64_t kBlocks = 4096;

template <int Size, class Element>
__global__ void add_bias_to_points(ColumnWork work, const float* __restrict__ bias, bool relu,
                                   Element* values) {
  const ThreadColumns<Size> columns(work, work.points);
  if (!columns.inside) {
    return;
  }
  Floats<Size> of_columns = {};
#pragma unroll
  for (int i = 0; i < Size && bias != nullptr; ++i) {
    of_columns.at[i] = bias[columns.column + i];
  }
#pragma unroll 4
  for (std::int64_t point = columns.first; point < columns.end; point += blockDim.y) {
    Element* const at = values + point * work.width + columns.column;
    Floats<Size> sums = load<Size>(at);
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      const float sum = sums.at[i] + of_columns.at[i];
      sums.at[i] = relu && sum < 0 ? 0.0F : sum;
    }
    store(sums, at);
  }
}

}  // namespace

void add_bias(cudaStream_t stream, std::int64_t points, std::int64_t width, ElementType type,
              const float* bias, bool relu, void* values) {
  with_packs(type, width, [&](auto element, auto size) {
    using Element = decltype(element);
    constexpr int kSize = decltype(size)::value;
    const ColumnWork work = column_work(points, width, kSize, kBlocks);
    launch(add_bias_to_points<kSize, Element>, launch_shape(work), stream, work, bias, relu,
           static_cast<Element*>(values));
  });
}

}  // namespace regatta::cuda

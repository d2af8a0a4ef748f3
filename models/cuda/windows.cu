// Each element is written by one thread, which looks up where it comes from.
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/row_work.h"
#include "models/cuda/windows.h"

namespace regatta::cuda {
namespace {

// A row of the work is one lane of one window.
template <class Element, int Size>
__global__ void gather(RowWork work, Windows windows, const Element* __restrict__ values,
                       Element* __restrict__ columns) {
  const auto packs = static_cast<std::uint32_t>(windows.features / Size);
  each_piece(work, [&](std::int64_t place, std::uint32_t piece) {
    const std::int64_t window = place / windows.lanes;
    const std::int64_t lane = place - window * windows.lanes;
    const std::int64_t row = window / windows.count;
    const std::uint32_t tap = piece / packs;
    const std::int64_t feature = std::int64_t{piece - tap * packs} * Size;
    const std::int64_t position =
        (window - row * windows.count) * windows.stride + tap - windows.zeros_before;
    Floats<Size> found = {};
    if (position >= 0 && position < windows.positions) {
      const std::int64_t point = row * windows.positions + position;
      found = load<Size>(values + (point * windows.lanes + lane) * windows.features + feature);
    }
    store(found, columns + (place * work.pieces + piece) * Size);
  });
}

// A row of the work is one lane at one point.
template <class Element, int Size>
__global__ void sum(RowWork work, Windows windows, const Element* __restrict__ columns,
                    Element* __restrict__ sums) {
  each_piece(work, [&](std::int64_t place, std::uint32_t piece) {
    const std::int64_t point = place / windows.lanes;
    const std::int64_t lane = place - point * windows.lanes;
    const std::int64_t row = point / windows.positions;
    const std::int64_t position = point - row * windows.positions + windows.zeros_before;
    const std::int64_t feature = std::int64_t{piece} * Size;
    Floats<Size> total = {};
    for (std::int64_t tap = 0; tap < windows.kernel && tap <= position; ++tap) {
      const std::int64_t window = (position - tap) / windows.stride;
      if (window * windows.stride != position - tap || window >= windows.count) {
        continue;
      }
      const std::int64_t column =
          ((row * windows.count + window) * windows.lanes + lane) * windows.kernel + tap;
      const Floats<Size> part = load<Size>(columns + column * windows.features + feature);
#pragma unroll
      for (int i = 0; i < Size; ++i) {
        total.at[i] += part.at[i];
      }
    }
    store(total, sums + place * windows.features + feature);
  });
}

}  // namespace

void gather_windows(cudaStream_t stream, const Windows& windows, const void* values, void* columns) {
  with_packs(windows.type, windows.features, [&](auto element, auto size) {
    using Element = decltype(element);
    const RowWork work =
        row_work(windows.rows * windows.count * windows.lanes, windows.kernel * windows.features / size());
    launch(gather<Element, size()>, launch_shape(work), stream, work, windows,
           static_cast<const Element*>(values), static_cast<Element*>(columns));
  });
}

void sum_windows(cudaStream_t stream, const Windows& windows, const void* columns, void* sums) {
  with_packs(windows.type, windows.features, [&](auto element, auto size) {
    using Element = decltype(element);
    const RowWork work =
        row_work(windows.rows * windows.positions * windows.lanes, windows.features / size());
    launch(sum<Element, size()>, launch_shape(work), stream, work, windows,
           static_cast<const Element*>(columns), static_cast<Element*>(sums));
  });
}

}  // namespace regatta::cuda

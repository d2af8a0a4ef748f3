// One function of the elements of tensors that stand in memory alike: results[i] = function(a[i], b[i], …).
// For kernels and what launches them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "models/cuda/device.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"

namespace regatta::cuda {

template <int Size, class Function, class... Values>
__device__ __forceinline__ Floats<Size> map_values(const Function& function, const Values&... values) {
  Floats<Size> results;
#pragma unroll
  for (int i = 0; i < Size; ++i) {
    results.at[i] = function(values.at[i]...);
  }
  return results;
}

template <int Size, class Result, class Function, class... Inputs>
__global__ void map_elements_kernel(std::int64_t size, Function function, Result* results, Inputs... inputs) {
  const std::int64_t packs = size / Size;
  each_element(packs, [&](std::int64_t i) {
    store(map_values<Size>(function, load<Size>(inputs + i * Size)...), results + i * Size);
  });
  each_element(size - packs * Size, [&](std::int64_t i) {
    const std::int64_t at = packs * Size + i;
    store(map_values<1>(function, load<1>(inputs + at)...), results + at);
  });
}

// `function` is an object whose call takes a float for each input, on the device. Tensors begin at multiples
// of 16 bytes; the results may stand in an input's place.
template <class Result, class Function, class... Inputs>
void map_elements(cudaStream_t stream, std::int64_t size, const Function& function, Result* results,
                  const Inputs*... inputs) {
  constexpr int kSize = std::min({kPack<Result>, kPack<Inputs>...});
  launch(map_elements_kernel<kSize, Result, Function, const Inputs*...>, one_thread_each(size / kSize + 1),
         stream, size, function, results, inputs...);
}

}  // namespace regatta::cuda

// Stands in for models/cuda/launch.h where kernels are compiled for the emulated device: the same function,
// which keeps the kernel and its arguments until the stream comes to it.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "emulated_cuda/kernel.h"
#include "models/cuda/launch_shape.h"

namespace regatta::cuda {

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream,
            Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "one argument for each parameter of the kernel");
  const std::tuple<Parameters...> values(static_cast<Parameters>(std::forward<Arguments>(arguments))...);
  std::vector<const void*> pointers;
  const auto note_pointer = [&](const auto& value) {
    if constexpr (std::is_pointer_v<std::decay_t<decltype(value)>>) {
      pointers.push_back(reinterpret_cast<const void*>(value));
    }
  };
  std::apply([&](const auto&... value) { (note_pointer(value), ...); }, values);
  launch_emulated({.function = reinterpret_cast<const void*>(kernel),
                   .grid = shape.grid,
                   .block = shape.block,
                   .shared_bytes = shape.shared_bytes,
                   .run_thread = [kernel, values] { std::apply(kernel, values); }},
                  pointers, stream);
}

}  // namespace regatta::cuda

// Inside a kernel: `name` points to the LaunchShape::shared_bytes of the block, aligned to 16 bytes.
#define DYNAMIC_SHARED(Type, name) Type* const name = static_cast<Type*>(::regatta::dynamic_shared_of_block())

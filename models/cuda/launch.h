// Starts kernels. One function instead of <<<…>>>, so that every file but the kernels themselves is plain C++
// and the tests can put an emulated device in its place (tests/emulated_cuda).
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "models/cuda/launch_shape.h"

namespace regatta::cuda {

// Puts `kernel` into `stream`; the arguments are converted to the kernel's parameter types and copied. A
// launch that the runtime refuses leaves its error for cudaPeekAtLastError, which the engine reads once per
// step.
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, cudaStream_t stream,
            Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "one argument for each parameter of the kernel");
  cudaLaunchConfig_t config = {};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  static_cast<void>(
      cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(std::forward<Arguments>(arguments))...));
}

}  // namespace regatta::cuda

// Inside a kernel: `name` points to the LaunchShape::shared_bytes of the block, aligned to 16 bytes.
#define DYNAMIC_SHARED(Type, name)                                         \
  extern __shared__ __align__(16) unsigned char dynamic_shared_of_block[]; \
  Type* const name = reinterpret_cast<Type*>(dynamic_shared_of_block)

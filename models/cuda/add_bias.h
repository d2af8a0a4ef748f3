// Adds a layer's bias to its output, and applies a relu, where the library that multiplies does not.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/element_type.h"

namespace regatta::cuda {

// values: [points, width], in place; bias: [width], or null.
void add_bias(cudaStream_t stream, std::int64_t points, std::int64_t width, ElementType type,
              const float* bias, bool relu, void* values);

}  // namespace regatta::cuda

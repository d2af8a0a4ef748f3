// Values of one type become values of another.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/element_type.h"

namespace regatta::cuda {

// Both at multiples of 16 bytes.
void convert(cudaStream_t stream, std::int64_t size, ElementType from_type, const void* from,
             ElementType to_type, void* to);

}  // namespace regatta::cuda

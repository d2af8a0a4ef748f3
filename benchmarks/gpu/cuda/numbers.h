// Random numbers for products and copies: zeros would be faster than any real data.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "models/cuda/element_type.h"

namespace regatta::cuda {

// Fills device memory with f32 or bf16 numbers between 1 and 2 of either sign.
void fill_with_numbers(void* memory, std::size_t bytes, ElementType type, cudaStream_t stream);

}  // namespace regatta::cuda

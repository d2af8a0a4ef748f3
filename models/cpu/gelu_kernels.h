// gelu(x) = x Φ(x), for the layer that stands alone and for the dense layer that applies it to its input.
#pragma once

#include <cstdint>

#include "models/cpu/bfloat16.h"

namespace regatta {

void gelu(const float* values, std::int64_t size, float* results);
void gelu(const float* values, std::int64_t size, Bfloat16* results);

// dx = dy (Φ(x) + x φ(x)). `results` may be `inputs`.
void gelu_backward(const float* inputs, const float* gradients, std::int64_t size, float* results);
// The same, and gelu(x) once more.
void gelu_backward(const float* inputs, const float* gradients, std::int64_t size, float* results,
                   float* outputs);
void gelu_backward(const float* inputs, const float* gradients, std::int64_t size, float* results,
                   Bfloat16* outputs);

}  // namespace regatta

// Loops over elements, which vectorise.
#include "models/cpu/gelu_kernels.h"

#include "base/multiversion.h"
#include "base/vector_math.h"

namespace regatta {
namespace {

template <class Element>
REGATTA_INLINE void forward(const float* values, std::int64_t size, Element* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    store(values[i] * vector_normal(values[i]).distribution, results[i]);
  }
}

template <class Element>
REGATTA_INLINE void backward(const float* inputs, const float* gradients, std::int64_t size, float* results,
                             Element* outputs) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const float x = inputs[i];
    const NormalPair normal = vector_normal(x);
    store(x * normal.distribution, outputs[i]);
    results[i] = gradients[i] * (normal.distribution + x * normal.density);
  }
}

}  // namespace

REGATTA_MULTIVERSION
void gelu(const float* values, std::int64_t size, float* results) { forward(values, size, results); }

REGATTA_MULTIVERSION
void gelu(const float* values, std::int64_t size, Bfloat16* results) { forward(values, size, results); }

REGATTA_MULTIVERSION
void gelu_backward(const float* inputs, const float* gradients, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const NormalPair normal = vector_normal(inputs[i]);
    results[i] = gradients[i] * (normal.distribution + inputs[i] * normal.density);
  }
}

REGATTA_MULTIVERSION
void gelu_backward(const float* inputs, const float* gradients, std::int64_t size, float* results,
                   float* outputs) {
  backward(inputs, gradients, size, results, outputs);
}

REGATTA_MULTIVERSION
void gelu_backward(const float* inputs, const float* gradients, std::int64_t size, float* results,
                   Bfloat16* outputs) {
  backward(inputs, gradients, size, results, outputs);
}

}  // namespace regatta

// What attention does between its matrix products.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/element_type.h"

namespace regatta::cuda {

// `parts` matrices side by side, queries, keys and values or one alone, are
//   together  [rows][positions][lanes][parts][heads][size]
//   apart     [parts] of [rows][lanes][heads][positions][size], `part_stride` elements from one to the next
struct HeadsShape {
  ElementType type = ElementType::f32;
  std::int64_t rows = 0;
  std::int64_t positions = 0;
  std::int64_t lanes = 1;
  std::int64_t heads = 1;
  std::int64_t size = 0;
  std::int64_t parts = 1;
  std::int64_t part_stride = 0;
};
void split_heads(cudaStream_t stream, const HeadsShape& shape, const void* together, void* apart);
void join_heads(cudaStream_t stream, const HeadsShape& shape, const void* apart, void* together);

// Row r is what position r mod T sees of all T positions: where causal, of itself and those before it.
struct ScoresShape {
  ElementType type = ElementType::f32;  // of shares and gradients of scores
  std::int64_t rows = 0;
  std::int64_t positions = 0;  // T
  bool causal = false;
};
// P = softmax(S)
void softmax(cudaStream_t stream, const ScoresShape& shape, const float* scores, void* shares);
// dS = P (dP - Σ dP P)
void softmax_gradients(cudaStream_t stream, const ScoresShape& shape, const void* shares,
                       const float* share_gradients, void* score_gradients);

}  // namespace regatta::cuda

// One position of an LSTM or GRU for all rows and lanes: everything between the matrix products, in one pass
// over the gates.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/element_type.h"

namespace regatta::cuda {

// Memory by points, [rows, positions], with so many elements from one point to the next; within a point
// [lanes, gates of a unit, units] or [lanes, units].
struct RecurrentShape {
  ElementType type = ElementType::f32;
  std::int64_t rows = 0;
  std::int64_t positions = 0;
  std::int64_t lanes = 1;
  std::int64_t units = 0;
  std::int64_t gate_row = 0;   // of gates and hidden
  std::int64_t state_row = 0;  // of previous states; outputs and cells are dense
};

// Elements are of the shape's type but for what is float. Forward writes, and backward reads:
struct RecurrentMemory {
  // [points]: LSTM i f g o, GRU r z n: first what the inputs give, then activated, then gradients of both
  // sums.
  void* gates = nullptr;
  // GRU, [points]: of n, what the state gives, with its bias; then the gradients of what the state gives.
  void* hidden = nullptr;
  float* cells = nullptr;    // LSTM: [points], c
  void* previous = nullptr;  // [points]: h of the position before, zeros at first
  void* outputs = nullptr;   // [points]: h
  // [rows], of this position: h' Wᵀ in forward; in backward dh from the next position, but for GRU's z dh.
  const float* products = nullptr;
  const float* input_bias = nullptr;  // [lanes, gates]
  const float* state_bias = nullptr;
  // Backward:
  const void* output_gradients = nullptr;  // [points]
  float* carried = nullptr;                // [rows]: from one position to the one before: LSTM dc, GRU z dh
};

// i, f, o = σ, g = tanh;  c = f c' + i g;  h = o tanh(c)
void lstm_forward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                  std::int64_t position);
void lstm_backward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                   std::int64_t position);
// r, z = σ;  n = tanh(x_n + r (h' W_nᵀ + b_n));  h = (1 - z) n + z h'
void gru_forward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                 std::int64_t position);
void gru_backward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                  std::int64_t position);

}  // namespace regatta::cuda

// One position of an LSTM or GRU for some rows: everything between the matrix products, in one pass over the
// gates.
#pragma once

#include <cstdint>

namespace regatta {

// Pointers at the first row and this position; rows of gates, states and the like stand one behind the other,
// rows of inputs and outputs `sequence` floats apart. Null where there is nothing: no previous position, no
// next one.
struct LstmCell {
  std::int64_t rows = 0;
  std::int64_t units = 0;
  std::int64_t sequence = 0;
  const float* bias = nullptr;  // [4 units], to be added to the gates
  float* gates = nullptr;       // [rows, 4 units]: i f g o, first their sums, then activated, then gradients
  float* cells = nullptr;       // [rows, units]: c
  const float* previous_cells = nullptr;
  float* states = nullptr;   // [rows, units]: h
  float* outputs = nullptr;  // h once more, in the order of the layer's output
  // Backward:
  const float* output_gradients = nullptr;
  const float* state_gradients = nullptr;  // [rows, units]: dh from the next position
  float* cell_gradients = nullptr;         // [rows, units]: dc, in and out
};
// i, f, o = σ, g = tanh;  c = f c' + i g;  h = o tanh(c)
void lstm_forward(const LstmCell& cell);
void lstm_backward(const LstmCell& cell);

struct GruCell {
  std::int64_t rows = 0;
  std::int64_t units = 0;
  std::int64_t sequence = 0;
  const float* bias = nullptr;             // [3 units], of the recurrent products
  const float* products = nullptr;         // [rows, 3 units]: h' Wᵀ; null before the first position
  float* gates = nullptr;                  // [rows, 3 units]: r z n, as LstmCell's
  float* candidates = nullptr;             // [rows, units]: h' W_nᵀ + b_n, then its gradient
  const float* previous_states = nullptr;  // [rows, units]
  float* states = nullptr;
  float* outputs = nullptr;
  const float* output_gradients = nullptr;
  float* state_gradients = nullptr;  // [rows, units]: in dh; out the part of dh' that needs no product
};
// r, z = σ;  n = tanh(x_n + r (h' W_nᵀ + b_n));  h = (1 - z) n + z h'
void gru_forward(const GruCell& cell);
void gru_backward(const GruCell& cell);

// [first, second, size] to [second, first, size].
void swap_axes(const float* values, std::int64_t first, std::int64_t second, std::int64_t size,
               float* results);

}  // namespace regatta

// A row at a time, vectorised over the units.
#include "models/cpu/recurrent_kernels.h"

#include <algorithm>

#include "base/multiversion.h"
#include "base/vector_math.h"

namespace regatta {

REGATTA_MULTIVERSION
void lstm_forward(const LstmCell& cell) {
  const std::int64_t units = cell.units;
  for (std::int64_t row = 0; row < cell.rows; ++row) {
    float* const gates = cell.gates + row * 4 * units;
    float* const cells = cell.cells + row * units;
    const float* const before = cell.previous_cells == nullptr ? nullptr : cell.previous_cells + row * units;
    float* const states = cell.states + row * units;
    float* const outputs = cell.outputs + row * cell.sequence;
    const float* const bias = cell.bias;
#pragma omp simd
    for (std::int64_t u = 0; u < units; ++u) {
      const float input = vector_sigmoid(gates[u] + bias[u]);
      const float forget = vector_sigmoid(gates[units + u] + bias[units + u]);
      const float candidate = vector_tanh(gates[2 * units + u] + bias[2 * units + u]);
      const float output = vector_sigmoid(gates[3 * units + u] + bias[3 * units + u]);
      const float c = (before == nullptr ? 0.0F : forget * before[u]) + input * candidate;
      const float h = output * vector_tanh(c);
      gates[u] = input;
      gates[units + u] = forget;
      gates[2 * units + u] = candidate;
      gates[3 * units + u] = output;
      cells[u] = c;
      states[u] = h;
      outputs[u] = h;
    }
  }
}

REGATTA_MULTIVERSION
void lstm_backward(const LstmCell& cell) {
  const std::int64_t units = cell.units;
  for (std::int64_t row = 0; row < cell.rows; ++row) {
    float* const gates = cell.gates + row * 4 * units;
    const float* const cells = cell.cells + row * units;
    const float* const before = cell.previous_cells == nullptr ? nullptr : cell.previous_cells + row * units;
    const float* const dy = cell.output_gradients + row * cell.sequence;
    const float* const next = cell.state_gradients == nullptr ? nullptr : cell.state_gradients + row * units;
    float* const dcells = cell.cell_gradients + row * units;
#pragma omp simd
    for (std::int64_t u = 0; u < units; ++u) {
      const float input = gates[u];
      const float forget = gates[units + u];
      const float candidate = gates[2 * units + u];
      const float output = gates[3 * units + u];
      const float bent = vector_tanh(cells[u]);
      const float dh = dy[u] + (next == nullptr ? 0.0F : next[u]);
      const float dc = dcells[u] + dh * output * (1 - bent * bent);
      gates[u] = dc * candidate * input * (1 - input);
      gates[units + u] = before == nullptr ? 0.0F : dc * before[u] * forget * (1 - forget);
      gates[2 * units + u] = dc * input * (1 - candidate * candidate);
      gates[3 * units + u] = dh * bent * output * (1 - output);
      dcells[u] = dc * forget;
    }
  }
}

REGATTA_MULTIVERSION
void gru_forward(const GruCell& cell) {
  const std::int64_t units = cell.units;
  for (std::int64_t row = 0; row < cell.rows; ++row) {
    float* const gates = cell.gates + row * 3 * units;
    const float* const products = cell.products == nullptr ? nullptr : cell.products + row * 3 * units;
    const float* const before =
        cell.previous_states == nullptr ? nullptr : cell.previous_states + row * units;
    float* const candidates = cell.candidates + row * units;
    float* const states = cell.states + row * units;
    float* const outputs = cell.outputs + row * cell.sequence;
    const float* const bias = cell.bias;
#pragma omp simd
    for (std::int64_t u = 0; u < units; ++u) {
      const float to_reset = products == nullptr ? 0.0F : products[u];
      const float to_update = products == nullptr ? 0.0F : products[units + u];
      const float to_candidate = products == nullptr ? 0.0F : products[2 * units + u];
      const float reset = vector_sigmoid(gates[u] + to_reset + bias[u]);
      const float update = vector_sigmoid(gates[units + u] + to_update + bias[units + u]);
      const float hidden = to_candidate + bias[2 * units + u];
      const float candidate = vector_tanh(gates[2 * units + u] + reset * hidden);
      const float h = (1 - update) * candidate + (before == nullptr ? 0.0F : update * before[u]);
      gates[u] = reset;
      gates[units + u] = update;
      gates[2 * units + u] = candidate;
      candidates[u] = hidden;
      states[u] = h;
      outputs[u] = h;
    }
  }
}

REGATTA_MULTIVERSION
void gru_backward(const GruCell& cell) {
  const std::int64_t units = cell.units;
  for (std::int64_t row = 0; row < cell.rows; ++row) {
    float* const gates = cell.gates + row * 3 * units;
    float* const candidates = cell.candidates + row * units;
    const float* const before =
        cell.previous_states == nullptr ? nullptr : cell.previous_states + row * units;
    const float* const dy = cell.output_gradients + row * cell.sequence;
    float* const dstates = cell.state_gradients + row * units;
#pragma omp simd
    for (std::int64_t u = 0; u < units; ++u) {
      const float reset = gates[u];
      const float update = gates[units + u];
      const float candidate = gates[2 * units + u];
      const float dh = dy[u] + dstates[u];
      const float dcandidate = dh * (1 - update) * (1 - candidate * candidate);
      const float dupdate = dh * ((before == nullptr ? 0.0F : before[u]) - candidate);
      const float dreset = dcandidate * candidates[u];
      gates[u] = dreset * reset * (1 - reset);
      gates[units + u] = dupdate * update * (1 - update);
      gates[2 * units + u] = dcandidate;
      candidates[u] = dcandidate * reset;
      dstates[u] = dh * update;
    }
  }
}

void swap_axes(const float* values, std::int64_t first, std::int64_t second, std::int64_t size,
               float* results) {
  for (std::int64_t i = 0; i < first; ++i) {
    for (std::int64_t j = 0; j < second; ++j) {
      std::copy_n(values + (i * second + j) * size, size, results + (j * first + i) * size);
    }
  }
}

}  // namespace regatta

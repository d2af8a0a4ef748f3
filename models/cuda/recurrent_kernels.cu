// A thread for each unit.
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/recurrent_kernels.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

__device__ __forceinline__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }

// Where a unit of one lane in one row has its values at a position.
template <class Element, int Gates>
struct Cell {
  std::int64_t units;
  std::int64_t unit;   // among all of a lane's row: [rows, lanes, units]
  std::int64_t point;  // among all points: [points, lanes, units]
  std::int64_t gates;  // of the first gate, the others `units` apart: [points, …]
  std::int64_t products;
  std::int64_t biases;
  std::int64_t previous;

  __device__ __forceinline__ Cell(const RecurrentShape& shape, std::int64_t lane_of_row,
                                  std::uint32_t of_lane, std::int64_t position) {
    const std::int64_t row = lane_of_row / shape.lanes;
    const std::int64_t lane = lane_of_row - row * shape.lanes;
    const std::int64_t at = row * shape.positions + position;
    units = shape.units;
    unit = lane_of_row * units + of_lane;
    point = (at * shape.lanes + lane) * units + of_lane;
    gates = at * shape.gate_row + lane * Gates * units + of_lane;
    products = lane_of_row * Gates * units + of_lane;
    biases = lane * Gates * units + of_lane;
    previous = at * shape.state_row + lane * units + of_lane;
  }

  // What the state gives to a gate, with its bias.
  __device__ __forceinline__ float from_state(const RecurrentMemory& memory, int gate) const {
    const float bias = memory.state_bias[biases + gate * units];
    return memory.products == nullptr ? bias : bias + memory.products[products + gate * units];
  }
  __device__ __forceinline__ float from_input(const RecurrentMemory& memory, int gate) const {
    return to_float(gate_of(memory, gate)) + memory.input_bias[biases + gate * units];
  }
  __device__ __forceinline__ Element& gate_of(const RecurrentMemory& memory, int gate) const {
    return static_cast<Element*>(memory.gates)[gates + gate * units];
  }
  __device__ __forceinline__ Element& hidden_of(const RecurrentMemory& memory, int gate) const {
    return static_cast<Element*>(memory.hidden)[gates + gate * units];
  }
  __device__ __forceinline__ Element& previous_of(const RecurrentMemory& memory) const {
    return static_cast<Element*>(memory.previous)[previous];
  }

  // h, and for the next position's sake once more.
  __device__ __forceinline__ void write_state(const RecurrentShape& shape, const RecurrentMemory& memory,
                                              std::int64_t position, float state) const {
    assign(state, static_cast<Element*>(memory.outputs)[point]);
    if (position == 0) {
      assign(0.0F, previous_of(memory));
    }
    if (position + 1 < shape.positions) {
      assign(state, static_cast<Element*>(memory.previous)[previous + shape.state_row]);
    }
  }
  // dh but for what is carried; behind the last position there is nothing.
  __device__ __forceinline__ float state_gradient(const RecurrentMemory& memory) const {
    const float gradient = to_float(static_cast<const Element*>(memory.output_gradients)[point]);
    return memory.products == nullptr ? gradient : gradient + memory.products[unit];
  }
};

template <class Element>
__global__ void lstm_step(RowWork work, RecurrentShape shape, RecurrentMemory memory, std::int64_t position) {
  each_piece(work, [&](std::int64_t lane_of_row, std::uint32_t unit) {
    const Cell<Element, 4> cell(shape, lane_of_row, unit, position);
    const float input = sigmoid(cell.from_input(memory, 0) + cell.from_state(memory, 0));
    const float forget = sigmoid(cell.from_input(memory, 1) + cell.from_state(memory, 1));
    const float candidate = tanhf(cell.from_input(memory, 2) + cell.from_state(memory, 2));
    const float output = sigmoid(cell.from_input(memory, 3) + cell.from_state(memory, 3));
    const float before = position > 0 ? memory.cells[cell.point - shape.lanes * shape.units] : 0.0F;
    const float c = forget * before + input * candidate;
    memory.cells[cell.point] = c;
    assign(input, cell.gate_of(memory, 0));
    assign(forget, cell.gate_of(memory, 1));
    assign(candidate, cell.gate_of(memory, 2));
    assign(output, cell.gate_of(memory, 3));
    cell.write_state(shape, memory, position, output * tanhf(c));
  });
}

template <class Element>
__global__ void lstm_step_back(RowWork work, RecurrentShape shape, RecurrentMemory memory,
                               std::int64_t position) {
  each_piece(work, [&](std::int64_t lane_of_row, std::uint32_t unit) {
    const Cell<Element, 4> cell(shape, lane_of_row, unit, position);
    const float input = to_float(cell.gate_of(memory, 0));
    const float forget = to_float(cell.gate_of(memory, 1));
    const float candidate = to_float(cell.gate_of(memory, 2));
    const float output = to_float(cell.gate_of(memory, 3));
    const float before = position > 0 ? memory.cells[cell.point - shape.lanes * shape.units] : 0.0F;
    const float bent = tanhf(memory.cells[cell.point]);
    const float dh = cell.state_gradient(memory);
    const float carried = position + 1 < shape.positions ? memory.carried[cell.unit] : 0.0F;
    const float dc = carried + dh * output * (1 - bent * bent);
    assign(dc * candidate * input * (1 - input), cell.gate_of(memory, 0));
    assign(dc * before * forget * (1 - forget), cell.gate_of(memory, 1));
    assign(dc * input * (1 - candidate * candidate), cell.gate_of(memory, 2));
    assign(dh * bent * output * (1 - output), cell.gate_of(memory, 3));
    memory.carried[cell.unit] = dc * forget;
  });
}

template <class Element>
__global__ void gru_step(RowWork work, RecurrentShape shape, RecurrentMemory memory, std::int64_t position) {
  each_piece(work, [&](std::int64_t lane_of_row, std::uint32_t unit) {
    const Cell<Element, 3> cell(shape, lane_of_row, unit, position);
    const float reset = sigmoid(cell.from_input(memory, 0) + cell.from_state(memory, 0));
    const float update = sigmoid(cell.from_input(memory, 1) + cell.from_state(memory, 1));
    const float hidden = cell.from_state(memory, 2);
    const float candidate = tanhf(cell.from_input(memory, 2) + reset * hidden);
    const float before = position > 0 ? to_float(cell.previous_of(memory)) : 0.0F;
    assign(reset, cell.gate_of(memory, 0));
    assign(update, cell.gate_of(memory, 1));
    assign(candidate, cell.gate_of(memory, 2));
    assign(hidden, cell.hidden_of(memory, 2));
    cell.write_state(shape, memory, position, (1 - update) * candidate + update * before);
  });
}

template <class Element>
__global__ void gru_step_back(RowWork work, RecurrentShape shape, RecurrentMemory memory,
                              std::int64_t position) {
  each_piece(work, [&](std::int64_t lane_of_row, std::uint32_t unit) {
    const Cell<Element, 3> cell(shape, lane_of_row, unit, position);
    const float reset = to_float(cell.gate_of(memory, 0));
    const float update = to_float(cell.gate_of(memory, 1));
    const float candidate = to_float(cell.gate_of(memory, 2));
    const float hidden = to_float(cell.hidden_of(memory, 2));
    const float carried = position + 1 < shape.positions ? memory.carried[cell.unit] : 0.0F;
    const float dh = cell.state_gradient(memory) + carried;
    const float dcandidate = dh * (1 - update) * (1 - candidate * candidate);
    const float dupdate = dh * (to_float(cell.previous_of(memory)) - candidate) * update * (1 - update);
    const float dreset = dcandidate * hidden * reset * (1 - reset);
    assign(dreset, cell.gate_of(memory, 0));
    assign(dupdate, cell.gate_of(memory, 1));
    assign(dcandidate, cell.gate_of(memory, 2));
    assign(dreset, cell.hidden_of(memory, 0));
    assign(dupdate, cell.hidden_of(memory, 1));
    assign(dcandidate * reset, cell.hidden_of(memory, 2));
    memory.carried[cell.unit] = dh * update;
  });
}

using Kernel = void (*)(RowWork, RecurrentShape, RecurrentMemory, std::int64_t);

void run(Kernel of_floats, Kernel of_bfloat16s, cudaStream_t stream, const RecurrentShape& shape,
         const RecurrentMemory& memory, std::int64_t position) {
  const RowWork work = row_work(shape.rows * shape.lanes, shape.units);
  launch(shape.type == ElementType::bf16 ? of_bfloat16s : of_floats, launch_shape(work), stream, work, shape,
         memory, position);
}

}  // namespace

void lstm_forward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                  std::int64_t position) {
  run(lstm_step<float>, lstm_step<Bfloat16>, stream, shape, memory, position);
}

void lstm_backward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                   std::int64_t position) {
  run(lstm_step_back<float>, lstm_step_back<Bfloat16>, stream, shape, memory, position);
}

void gru_forward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                 std::int64_t position) {
  run(gru_step<float>, gru_step<Bfloat16>, stream, shape, memory, position);
}

void gru_backward(cudaStream_t stream, const RecurrentShape& shape, const RecurrentMemory& memory,
                  std::int64_t position) {
  run(gru_step_back<float>, gru_step_back<Bfloat16>, stream, shape, memory, position);
}

}  // namespace regatta::cuda

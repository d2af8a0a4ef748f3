// An operation graph as plain data. cuDNN's descriptors are made of it (models/cuda/cudnn_operations.h), and
// tests compute on a CPU what the very same description says.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace regatta {

enum class GraphType { f32, bf16, i32, boolean };

// Four axes, whatever their order in memory: an element is at the sum of its indices times their strides.
using Axes = std::array<std::int64_t, 4>;

struct GraphTensor {
  std::int64_t id = 0;  // under which its pointer is handed over; unique within the graph
  GraphType type = GraphType::f32;
  Axes sizes = {1, 1, 1, 1};
  Axes strides = {1, 1, 1, 1};
  bool is_virtual = false;     // what one operation hands to others: it never stands in memory
  std::optional<float> value;  // of a constant
};

// What an operation makes of x, and of b and t where it has them. An axis of size 1 goes along with any size.
// Sums are f32, and what is written is rounded to y's type.
enum class GraphStep {
  matmul,         // y = x b: of the last two axes, for each of the first two
  add,            // y = x + b
  subtract,       // y = x - b
  multiply,       // y = x b
  divide,         // y = x / b
  exponential,    // y = exp(x)
  logarithm,      // y = ln(x)
  row_index,      // y = the index along axis 2
  column_index,   // y = the index along axis 3
  greater_equal,  // y = x >= b
  select,         // y = x where t, else b
  largest,        // y = the largest along the axes in which y has size 1
  sum,            // y = the sum along the axes in which y has size 1
  reshape,        // y = x's memory, under y's sizes and strides
};

struct GraphOperation {
  GraphStep step = GraphStep::add;
  // Numbers of tensors in OperationGraph::tensors; -1: none.
  int x = -1;
  int b = -1;
  int t = -1;
  int y = -1;
};

struct OperationGraph {
  std::vector<GraphTensor> tensors;
  std::vector<GraphOperation> operations;  // each after those whose results it reads
};

}  // namespace regatta

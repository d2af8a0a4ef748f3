// Activations and their gradients on the device.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "models/cuda/element_type.h"
#include "models/memory_plan.h"
#include "models/shape.h"

namespace regatta::cuda {

// What the relu that made a tensor of one lane let through, a bit an element, for products
// (models/cuda/matmul.h).
struct ReluMask {
  MemoryPlan::Buffer bits = 0;
  std::int64_t row = 0;  // bits from one point to the next
};

struct LateSum;

// Row-major [rows][positions][lanes][channels]: channel-last, with the lanes between positions and channels.
// So the lanes of a layer are one batched matrix product (row stride lanes · channels), one grouped
// convolution over lanes · channels, one normalisation over as many channels, and nothing is ever transposed
// for their sake. Of {C, H, W} the positions are the H·W pixels and the channels C; of {T, F} T and F; of {F}
// one and F.
//
// A cheap value; copies stand for the same memory.
struct Tensor {
  Shape shape;            // one sample of one lane, in the order of models/shape.h
  std::int64_t rows = 0;  // samples
  int lanes = 1;          // 1, of several lanes: all share it (the network's input)
  ElementType type = ElementType::f32;
  std::optional<MemoryPlan::Buffer> buffer;  // none: the network's input
  int id = -1;                               // under which its gradient is kept while backward is planned
  bool needs_gradient = false;
  bool is_relu_output = false;
  std::optional<ReluMask> relu_mask;  // of a relu's output, where there is one
  bool is_masked = false;             // the gradient of a relu's output that has passed the relu already
  // Of the body of a residual block: the other tensor with the same values, whose gradient is to be added;
  // and a gradient that is this sum already.
  int shortcut = -1;
  bool has_shortcut_gradient = false;
  std::shared_ptr<LateSum> late_sum;  // of a residual block's output, shared by all views of it

  std::int64_t channels() const { return shape.size() == 3 ? shape.front() : shape.back(); }
  std::int64_t positions() const {
    return shape.size() == 3 ? shape[1] * shape[2] : shape.size() == 2 ? shape.front() : 1;
  }
  std::int64_t points() const { return rows * positions(); }  // rows of a matrix of channels
  std::int64_t width() const { return lanes * channels(); }   // elements from one point to the next
  std::int64_t size() const { return points() * width(); }
  std::int64_t bytes() const { return size() * bytes_of(type); }
};

// The two whose sum a tensor is. The first operation that reads the tensor may make the sum as it reads.
struct LateSum {
  Tensor left;
  Tensor right;
  bool is_read = false;
  bool is_taken = false;  // by that operation
};

}  // namespace regatta::cuda

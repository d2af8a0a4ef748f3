// The sum of each column of a matrix, always in the same order: gradients of biases.
#pragma once

#include <cstdint>

#include "models/cuda/operation.h"
#include "models/cuda/planner.h"
#include "models/cuda/tensor.h"

namespace regatta::cuda {

class ColumnSums {
 public:
  // Of the first `columns` of a dense matrix [points, width] at a multiple of 16 bytes; for the operation
  // being planned.
  ColumnSums(Planner& planner, std::int64_t points, std::int64_t width, std::int64_t columns,
             ElementType type);
  const Tensor& partial() const { return partial_; }  // memory that enqueue() uses
  // `sums`: [columns].
  void enqueue(const Step& step, const void* matrix, float* sums) const;

 private:
  std::int64_t points_;
  std::int64_t width_;
  std::int64_t columns_;
  ElementType type_;
  Tensor partial_;
  std::int64_t counters_ = 0;
};

}  // namespace regatta::cuda

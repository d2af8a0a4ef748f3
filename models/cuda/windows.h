// The windows of a convolution along the positions, each copied out as one row of a matrix.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/element_type.h"

namespace regatta::cuda {

// Of values [rows, positions, lanes, features]; columns are [rows, count, lanes, kernel, features].
struct Windows {
  ElementType type = ElementType::f32;
  std::int64_t rows = 0;
  std::int64_t positions = 0;
  std::int64_t lanes = 1;
  std::int64_t features = 0;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t zeros_before = 0;
  std::int64_t count = 0;  // windows of a row

  // Whether the columns are the values themselves.
  bool are_positions() const { return kernel == 1 && stride == 1 && count == positions; }
};

void gather_windows(cudaStream_t stream, const Windows& windows, const void* values, void* columns);
// The transpose: each value gets the sum of what its windows have of it.
void sum_windows(cudaStream_t stream, const Windows& windows, const void* columns, void* sums);

}  // namespace regatta::cuda

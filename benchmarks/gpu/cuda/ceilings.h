// What the card reaches at best, as measured: its memory in a large copy, its arithmetic in large products.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "models/cuda/element_type.h"

namespace regatta::cuda {

struct CeilingSizes {
  std::int64_t copy_bytes = std::int64_t{2} << 30;
  std::int64_t product_side = 8192;  // of square matrices
  int repeats = 10;
};

// Bytes read and written each second.
Result<double> measure_copy(const CeilingSizes& sizes);
// Multiplications and additions each second, on random numbers.
Result<double> measure_products(const CeilingSizes& sizes, MathMode math);

}  // namespace regatta::cuda

// Products in words, for messages.
#include <fmt/format.h>

#include "models/cuda/matmul.h"

namespace regatta::cuda {

std::string describe(const MatmulShape& shape) {
  return fmt::format("product of {}{}×{} by {}×{} in {}",
                     shape.batches > 1 ? fmt::format("{} times ", shape.batches) : "", shape.m, shape.k,
                     shape.k, shape.n, describe(shape.math));
}

}  // namespace regatta::cuda

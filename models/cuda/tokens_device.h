// Reading token numbers in kernels.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/token_order.h"

namespace regatta::cuda {

inline constexpr std::int32_t kNoToken = -1;

// The token at a place, or kNoToken for a number that is none.
__device__ __forceinline__ std::int32_t token_at(const Tokens& tokens, std::int64_t place) {
  const std::int64_t row = place / tokens.positions;
  const float number = tokens.numbers[row * tokens.row + (place - row * tokens.positions)];
  if (!(number >= 0 && number < static_cast<float>(tokens.vocabulary))) {
    return kNoToken;
  }
  const auto token = static_cast<std::int32_t>(number);
  return static_cast<float>(token) == number ? token : kNoToken;
}

}  // namespace regatta::cuda

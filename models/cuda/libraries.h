// The libraries' handles on one device, and the plans that they keep.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "base/result.h"
#include "models/cuda/dnn_context.h"
#include "models/cuda/matmul.h"

namespace regatta::cuda {

// A plan takes up to seconds to make; who makes several engines for a device keeps one of these for all of
// them.
struct Libraries {
  std::unique_ptr<MatmulContext> matmul;
  std::unique_ptr<DnnContext> dnn;
  std::set<std::string> told;  // to the log, once each: why something is done another way
  // What a call of fused attention may need for its scores' gradients on the way back, by which rows are
  // divided among calls. As much as fills a card many times; a single row may need more.
  std::int64_t attention_bytes = std::int64_t{1} << 30;
};

// For the calling thread's current device.
Result<std::unique_ptr<Libraries>> open_libraries();

}  // namespace regatta::cuda

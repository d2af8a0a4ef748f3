// An operation graph in cuDNN's terms.
#pragma once

#include "models/cuda/cudnn_graph.h"
#include "models/cuda/operation_graph.h"

namespace regatta {

inline constexpr std::int64_t kGraphAlignment = 16;  // bytes, of every pointer that is handed over

// One descriptor for each operation; fails with what cuDNN says of the first that it refuses.
Result<CudnnOperations> cudnn_operations(const OperationGraph& graph);

}  // namespace regatta

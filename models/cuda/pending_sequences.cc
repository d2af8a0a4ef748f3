// Layers of sequences that are being written: this file goes when they are there.
#include "models/cuda/operations.h"

namespace regatta::cuda {
namespace {
Error pending() { return failure("this layer cannot run on a GPU yet"); }
}  // namespace

Result<Planned> plan_operation(Planner&, const std::string&, const TimePool&, const Tensor&) { return pending(); }
Result<Planned> plan_operation(Planner&, const std::string&, const LayerNorm&, const Tensor&) { return pending(); }
Result<Planned> plan_operation(Planner&, const std::string&, const Embedding&, const Tensor&) { return pending(); }
Result<Planned> plan_operation(Planner&, const std::string&, const PositionEmbedding&, const Tensor&) {
  return pending();
}
Result<Planned> plan_operation(Planner&, const std::string&, const Attention&, const Tensor&) { return pending(); }
Result<Planned> plan_operation(Planner&, const std::string&, const Recurrent&, const Tensor&) { return pending(); }
Result<Planned> plan_operation(Planner&, const std::string&, const Conv1d&, const Tensor&) { return pending(); }

}  // namespace regatta::cuda

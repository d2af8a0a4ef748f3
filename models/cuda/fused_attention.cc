// Attention on cuDNN's graph API: each direction is one graph, in the form that its attention engines know.
//
// cuDNN tells apart how dQ is summed by the graph alone: into an f32 tensor that stands in memory, blocks add
// to it in the order in which they come; where the last product is dQ itself, dS goes through the workspace
// and sums have one order. Its engines carry no note of that, so that EngineRules could not tell.
#include "models/cuda/fused_attention.h"

#include <cudnn.h>
#include <fmt/format.h>

#include <optional>
#include <vector>

#include "models/cuda/cudnn_context.h"
#include "models/cuda/cudnn_operations.h"
#include "models/cuda/element_type.h"

namespace regatta {
namespace {

// Before it, backward over a number of positions that 128 does not divide was wrong without a mask of its
// own.
constexpr std::size_t kLeastVersion = 91600;

// A graph, its plan, and what its calls hand over.
class GraphCall {
 public:
  GraphCall(const OperationGraph& graph, SharedPlan plan)
      : graph_(graph), call_(std::move(plan), ids(graph)) {}

  const CudnnPlan& plan() const { return call_.plan(); }

  Status run(cudnnHandle_t handle, cudaStream_t stream, void* workspace, const AttentionShape& shape,
             const AttentionMemory& memory, std::int64_t lane) {
    std::vector<void*> pointers;
    for (GraphTensor& tensor : graph_.tensors) {
      if (tensor.value.has_value()) {
        pointers.push_back(&*tensor.value);
      } else if (!tensor.is_virtual) {
        pointers.push_back(address_of(shape, memory, tensor.id, lane));
      }
    }
    return call_.run(handle, stream, workspace, std::move(pointers));
  }

 private:
  static std::vector<std::int64_t> ids(const OperationGraph& graph) {
    std::vector<std::int64_t> numbers;
    for (const GraphTensor& tensor : graph.tensors) {
      if (!tensor.is_virtual) {
        numbers.push_back(tensor.id);
      }
    }
    return numbers;
  }

  OperationGraph graph_;  // keeps the constants, which are read at each call
  CudnnCall call_;
};

class CudnnAttention final : public FusedAttention {
 public:
  CudnnAttention(FusedAttentionPlan plan, cudnnHandle_t handle, const AttentionShape& shape,
                 GraphCall forward, std::optional<GraphCall> backward)
      : FusedAttention(shape, std::move(plan)),
        handle_(handle),
        forward_(std::move(forward)),
        backward_(std::move(backward)) {}

  Status forward(cudaStream_t stream, const AttentionMemory& memory, void* workspace) override {
    return run("forward", forward_, stream, memory, workspace);
  }

  Status backward(cudaStream_t stream, const AttentionMemory& memory, void* workspace) override {
    CHECK(backward_.has_value(), "this direction was not planned");
    return run("backward", *backward_, stream, memory, workspace);
  }

 private:
  Status run(const char* direction, GraphCall& call, cudaStream_t stream, const AttentionMemory& memory,
             void* workspace) const {
    CHECK(handle_ != nullptr, "an audit has no device to run on");
    for (std::int64_t lane = 0; lane < shape().lanes; ++lane) {
      const Status status = call.run(handle_, stream, workspace, shape(), memory, lane);
      if (!status.ok()) {
        return failure(fmt::format("cuDNN could not run the {} ({}), {}: {}. Try another precision.",
                                   describe(shape()), direction, call.plan().engine, status.error().message));
      }
    }
    return {};
  }

  cudnnHandle_t handle_;
  GraphCall forward_;
  std::optional<GraphCall> backward_;
};

Result<GraphCall> plan_call(CudnnContext& context, const AttentionShape& shape, const char* direction,
                            const OperationGraph& graph) {
  const std::string key = fmt::format("{} {}", direction, describe(shape));
  ASSIGN_OR_RETURN(SharedPlan plan, context.plan(key, cudnn_operations(graph), {}));
  return GraphCall(graph, std::move(plan));
}

}  // namespace

Result<std::unique_ptr<FusedAttention>> plan_fused_attention(DnnContext& context, const AttentionShape& shape,
                                                             bool needs_backward) {
  RETURN_IF_ERROR(check_fusible(shape));
  if (cudnnGetVersion() < kLeastVersion) {
    return failure("cuDNN's attention is taken from version 9.16 on");
  }
  auto& cudnn = static_cast<CudnnContext&>(context);
  FusedAttentionPlan plan;
  std::optional<GraphCall> backward;
  if (needs_backward) {
    ASSIGN_OR_RETURN(backward, plan_call(cudnn, shape, "backward", attention_backward_graph(shape)));
    plan.backward = backward->plan().engine;
    plan.backward_workspace_bytes = backward->plan().workspace_bytes;
    const std::int64_t score_gradients = shape.row_values() * shape.positions * bytes_of(ElementType::bf16);
    if (plan.backward_workspace_bytes < score_gradients) {
      return failure(
          fmt::format("the {} by cuDNN ({}) would sum in no fixed order", describe(shape), plan.backward));
    }
  }
  ASSIGN_OR_RETURN(GraphCall forward, plan_call(cudnn, shape, "forward", attention_forward_graph(shape)));
  plan.forward = forward.plan().engine;
  plan.forward_workspace_bytes = forward.plan().workspace_bytes;
  return std::unique_ptr<FusedAttention>(std::make_unique<CudnnAttention>(
      std::move(plan), cudnn.handle(), shape, std::move(forward), std::move(backward)));
}

}  // namespace regatta

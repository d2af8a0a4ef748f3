// Fused attention for the emulated device, behind the interface of models/cuda/fused_attention.h: the graphs
// that cuDNN is given, computed as they are described. The workspace that was lent is spoiled.
#include <cuda_runtime.h>

#include <cstring>
#include <memory>

#include "emulated_cuda/graph_interpreter.h"
#include "models/cuda/fused_attention.h"
#include "models/cuda/launch.h"

namespace regatta {
namespace {

constexpr std::int64_t kWorkspaceBytes = 1024;
constexpr std::uintptr_t kAlignment = 16;

using SharedGraph = std::shared_ptr<const OperationGraph>;

void run_graph(const SharedGraph& graph, AttentionShape shape, AttentionMemory memory, std::int64_t lane,
               std::byte* workspace) {
  std::memset(workspace, 0xff, kWorkspaceBytes);
  GraphInterpreter(*graph, [&](const GraphTensor& tensor) {
    void* const begin = address_of(shape, memory, tensor.id, lane);
    CHECK(reinterpret_cast<std::uintptr_t>(begin) % kAlignment == 0, "cuDNN asks for aligned memory");
    return begin;
  }).run();
}

void attention_forward(SharedGraph graph, AttentionShape shape, AttentionMemory memory, std::int64_t lane,
                       std::byte* workspace) {
  run_graph(graph, shape, memory, lane, workspace);
}

void attention_backward(SharedGraph graph, AttentionShape shape, AttentionMemory memory, std::int64_t lane,
                        std::byte* workspace) {
  run_graph(graph, shape, memory, lane, workspace);
}

class EmulatedAttention final : public FusedAttention {
 public:
  EmulatedAttention(const AttentionShape& shape, const FusedAttentionPlan& plan)
      : FusedAttention(shape, plan),
        forward_(std::make_shared<OperationGraph>(attention_forward_graph(shape))),
        backward_(std::make_shared<OperationGraph>(attention_backward_graph(shape))) {}

  Status forward(cudaStream_t stream, const AttentionMemory& memory, void* workspace) override {
    return run(&attention_forward, forward_, stream, memory, workspace);
  }

  Status backward(cudaStream_t stream, const AttentionMemory& memory, void* workspace) override {
    CHECK(!plan().backward.empty(), "this direction was not planned");
    return run(&attention_backward, backward_, stream, memory, workspace);
  }

 private:
  Status run(decltype(&attention_forward) kernel, const SharedGraph& graph, cudaStream_t stream,
             const AttentionMemory& memory, void* workspace) const {
    const cuda::LaunchShape one_thread = {.grid = dim3(1), .block = dim3(1)};
    for (std::int64_t lane = 0; lane < shape().lanes; ++lane) {
      cuda::launch(kernel, one_thread, stream, graph, shape(), memory, lane,
                   static_cast<std::byte*>(workspace));
    }
    const cudaError_t error = cudaPeekAtLastError();
    return error == cudaSuccess ? Status() : failure(cudaGetErrorString(error));
  }

  SharedGraph forward_;
  SharedGraph backward_;
};

}  // namespace

Result<std::unique_ptr<FusedAttention>> plan_fused_attention(DnnContext&, const AttentionShape& shape,
                                                             bool needs_backward) {
  RETURN_IF_ERROR(check_fusible(shape));
  return std::unique_ptr<FusedAttention>(std::make_unique<EmulatedAttention>(
      shape, FusedAttentionPlan{.forward_workspace_bytes = kWorkspaceBytes,
                                .backward_workspace_bytes = needs_backward ? kWorkspaceBytes : 0,
                                .forward = "loops",
                                .backward = needs_backward ? "loops" : ""}));
}

}  // namespace regatta

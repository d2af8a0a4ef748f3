// The CUDA runtime's functions about stream capture and graphs, for the emulated device.
#include <cuda_runtime.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "emulated_cuda/emulator.h"
#include "emulated_cuda/kernel.h"
#include "emulated_cuda/stream.h"

namespace regatta {
namespace {

// Whether every node comes before the end of the stream that the capture began in.
bool all_joined(const Capture& capture) {
  std::vector<bool> reached(capture.nodes.size(), false);
  std::vector<int> todo = capture.origin->capture_ends;
  while (!todo.empty()) {
    const int node = todo.back();
    todo.pop_back();
    if (!reached[node]) {
      reached[node] = true;
      todo.insert(todo.end(), capture.nodes[node].after.begin(), capture.nodes[node].after.end());
    }
  }
  return std::all_of(reached.begin(), reached.end(), [](bool node) { return node; });
}

cudaError_t end_capture(const std::shared_ptr<Capture>& capture, cudaGraph_t* graph) {
  const bool joined = all_joined(*capture);
  for (const auto& queue : capture->streams) {
    queue->capture = nullptr;
    queue->capture_ends.clear();
  }
  capture->streams.clear();
  capture->ended = true;
  std::erase(emulated_streams().captures, capture);
  if (capture->invalid) {
    return cudaErrorStreamCaptureInvalidated;
  }
  if (!joined) {
    return cudaErrorStreamCaptureUnjoined;
  }
  *graph = new CUgraph_st{std::move(capture->nodes)};
  return cudaSuccess;
}

}  // namespace

GraphContents last_graph() {
  const std::lock_guard lock(emulated_streams().mutex);
  GraphContents contents;
  if (emulated_streams().last_graph == nullptr) {
    return contents;
  }
  std::map<const void*, std::string> kernels;  // a name is looked up in the program's file
  std::vector<int> chain;
  for (const GraphNode& node : *emulated_streams().last_graph) {
    std::string& name = kernels[node.name.kernel];
    if (node.name.kernel != nullptr && name.empty()) {
      name = kernel_name(node.name.kernel);
    }
    contents.nodes.push_back(node.name.kernel != nullptr ? name : node.name.what);
    contents.priorities.push_back(node.priority);
    int before = 0;
    for (const int earlier : node.after) {
      before = std::max(before, chain[static_cast<std::size_t>(earlier)]);
    }
    chain.push_back(before + 1);
    contents.longest_chain = std::max(contents.longest_chain, chain.back());
  }
  return contents;
}

}  // namespace regatta

using namespace regatta;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  const auto queue = streams.queue_of(stream);
  if (queue == nullptr || queue == streams.legacy()) {
    return keep_error(cudaErrorStreamCaptureUnsupported);
  }
  if (queue->capture != nullptr) {
    return keep_error(cudaErrorIllegalState);
  }
  const auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->origin = queue.get();
  capture->streams.push_back(queue);
  queue->capture = capture;
  queue->capture_ends.clear();
  streams.captures.push_back(capture);
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(emulated_streams().mutex);
  *graph = nullptr;
  const auto queue = emulated_streams().queue_of(stream);
  if (queue == nullptr || queue->capture == nullptr) {
    return keep_error(cudaErrorIllegalState);
  }
  const std::shared_ptr<Capture> capture = queue->capture;
  if (capture->origin != queue.get()) {
    capture->invalid = true;
    return keep_error(cudaErrorStreamCaptureUnmatched);
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
    return keep_error(cudaErrorStreamCaptureWrongThread);
  }
  return keep_error(end_capture(capture, graph));
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(emulated_streams().mutex);
  const auto queue = emulated_streams().queue_of(stream);
  if (queue == nullptr) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  *status = queue->capture == nullptr ? cudaStreamCaptureStatusNone
            : queue->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  thread_local cudaStreamCaptureMode current = cudaStreamCaptureModeGlobal;
  std::swap(current, *mode);
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (graph == nullptr) {
    return keep_error(cudaErrorInvalidValue);
  }
  GraphNodes nodes = graph->nodes;
  for (GraphNode& node : nodes) {
    node.priority = (flags & cudaGraphInstantiateFlagUseNodePriority) != 0 ? node.priority : 0;
  }
  *executable = new CUgraphExec_st{std::make_shared<const GraphNodes>(std::move(nodes))};
  emulated_streams().last_graph = (*executable)->nodes;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* executable, cudaGraph_t graph,
                                          unsigned long long flags) {
  return cudaGraphInstantiate(executable, graph, flags);
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t) {
  return keep_error(executable == nullptr ? cudaErrorInvalidValue : cudaSuccess);
}

// Inside a capture, the graph becomes one node of the other.
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (executable == nullptr) {
    return keep_error(cudaErrorInvalidValue);
  }
  return keep_error(
      emulated_streams().add(stream, [nodes = executable->nodes] { run_graph(*nodes); }, {.what = "graph"}));
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (graph == nullptr ||
      nodes != nullptr) {  // a node of its own is nothing here; only their number is known
    return keep_error(cudaErrorInvalidValue);
  }
  *count = graph->nodes.size();
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

}  // extern "C"

// Ownership of what the CUDA runtime hands out.
#include "models/cuda/runtime.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "base/clock.h"

namespace regatta::cuda {
namespace {

constexpr std::chrono::seconds kLongestWait{120};
constexpr double kMebibyte = 1024.0 * 1024.0;

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / kMebibyte; }

Error out_of_memory(std::size_t bytes, std::string_view what) {
  std::size_t free = 0;
  std::size_t total = 0;
  cudaMemGetInfo(&free, &total);
  return failure(
      fmt::format("the GPU has not enough memory for {}: {:.1f} MiB were asked for, {:.1f} of {:.0f} MiB "
                  "are free; lower train.batch_size or resources.lanes, or let fewer crews share the card",
                  what, mebibytes(bytes), mebibytes(free), mebibytes(total)));
}

}  // namespace

Status check(cudaError_t error, std::string_view doing) {
  if (error == cudaSuccess) {
    return {};
  }
  return failure(fmt::format("{}: {} ({})", doing, cudaGetErrorString(error), cudaGetErrorName(error)));
}

Result<DeviceMemory> DeviceMemory::allocate(std::size_t bytes, std::string_view what) {
  DeviceMemory memory;
  if (bytes == 0) {
    return memory;
  }
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is told here; later calls shall not find it
    return out_of_memory(bytes, what);
  }
  RETURN_IF_ERROR(check(error, fmt::format("allocating {}", what)));
  memory.data_ = static_cast<std::byte*>(data);
  memory.size_ = bytes;
  RETURN_IF_ERROR(check(cudaMemset(data, 0, bytes), fmt::format("clearing {}", what)));
  // The default stream clears it, for which others do not wait by themselves.
  RETURN_IF_ERROR(check(cudaStreamSynchronize(nullptr), fmt::format("clearing {}", what)));
  return memory;
}

DeviceMemory::DeviceMemory(DeviceMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

DeviceMemory::~DeviceMemory() { cudaFree(data_); }

Result<SharedHostMemory> SharedHostMemory::allocate(std::size_t bytes) {
  SharedHostMemory memory;
  void* data = nullptr;
  RETURN_IF_ERROR(check(cudaHostAlloc(&data, bytes, cudaHostAllocMapped | cudaHostAllocPortable),
                        "allocating memory that host and GPU share"));
  memory.data_ = static_cast<std::byte*>(data);
  std::fill_n(memory.data_, bytes, std::byte{0});
  return memory;
}

SharedHostMemory::SharedHostMemory(SharedHostMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)) {}

SharedHostMemory& SharedHostMemory::operator=(SharedHostMemory&& other) noexcept {
  std::swap(data_, other.data_);
  return *this;
}

SharedHostMemory::~SharedHostMemory() { cudaFreeHost(data_); }

Result<Stream> Stream::create(StreamPriority priority) {
  int lowest = 0;
  int highest = 0;
  RETURN_IF_ERROR(check(cudaDeviceGetStreamPriorityRange(&lowest, &highest), "creating a stream"));
  Stream stream;
  RETURN_IF_ERROR(check(cudaStreamCreateWithPriority(&stream.stream_, cudaStreamNonBlocking,
                                                     priority == StreamPriority::highest ? highest : lowest),
                        "creating a stream"));
  return stream;
}

Stream::Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
  std::swap(stream_, other.stream_);
  return *this;
}

Stream::~Stream() {
  if (stream_ != nullptr) {
    cudaStreamDestroy(stream_);
  }
}

Result<Event> Event::create() {
  Event event;
  RETURN_IF_ERROR(
      check(cudaEventCreateWithFlags(&event.event_, cudaEventDisableTiming), "creating an event"));
  return event;
}

Event::Event(Event&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}

Event& Event::operator=(Event&& other) noexcept {
  std::swap(event_, other.event_);
  return *this;
}

Event::~Event() {
  if (event_ != nullptr) {
    cudaEventDestroy(event_);
  }
}

// By asking, because the runtime's own wait has no limit; the processor is left to others in between.
Status wait_for(const Event& event, std::string_view doing) {
  const SystemClock clock;
  const Deadline limit(clock, kLongestWait);
  while (true) {
    const cudaError_t error = cudaEventQuery(event.get());
    if (error != cudaErrorNotReady) {
      return check(error, doing);
    }
    if (limit.passed()) {
      return timed_out(fmt::format("{}: the GPU has not finished within {} s", doing, kLongestWait.count()));
    }
    static_cast<void>(cudaGetLastError());  // that it is not ready yet is no error of a later call
    std::this_thread::yield();
  }
}

Result<Graph> Graph::capture(const Stream& stream, const std::function<Status()>& enqueue) {
  RETURN_IF_ERROR(check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal),
                        "beginning to record a step"));
  const Status enqueued = enqueue();
  cudaGraph_t recorded = nullptr;
  const Status ended = check(cudaStreamEndCapture(stream.get(), &recorded), "recording a step");
  if (!enqueued.ok() || !ended.ok()) {
    cudaGetLastError();
    if (recorded != nullptr) {
      cudaGraphDestroy(recorded);
    }
    return enqueued.ok() ? ended.error() : enqueued.error();
  }
  Graph graph;
  Status made =
      check(cudaGraphGetNodes(recorded, nullptr, &graph.nodes_), "counting a recorded step's nodes");
  if (made.ok()) {
    // A recorded kernel has its stream's priority, which counts with this flag only.
    made = check(cudaGraphInstantiate(&graph.executable_, recorded, cudaGraphInstantiateFlagUseNodePriority),
                 "making a recorded step ready to run");
  }
  cudaGraphDestroy(recorded);
  RETURN_IF_ERROR(made);
  return graph;
}

Graph::Graph(Graph&& other) noexcept
    : executable_(std::exchange(other.executable_, nullptr)), nodes_(std::exchange(other.nodes_, 0)) {}

Graph& Graph::operator=(Graph&& other) noexcept {
  std::swap(executable_, other.executable_);
  std::swap(nodes_, other.nodes_);
  return *this;
}

Graph::~Graph() {
  if (executable_ != nullptr) {
    cudaGraphExecDestroy(executable_);
  }
}

Status Graph::launch(const Stream& stream) const {
  return check(cudaGraphLaunch(executable_, stream.get()), "starting a recorded step");
}

}  // namespace regatta::cuda

// What the backend takes from the CUDA runtime: memory, streams, events and captured graphs, each owned by an
// object.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <string_view>

#include "base/result.h"

namespace regatta::cuda {

// "copying the weights: out of memory (cudaErrorMemoryAllocation)"
Status check(cudaError_t error, std::string_view doing);

// Memory of the current device, filled with zeros.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  // `what`, in words, for the sentence that tells of too little memory: how much was asked for, how much was
  // free, and what to lower.
  static Result<DeviceMemory> allocate(std::size_t bytes, std::string_view what);
  DeviceMemory(DeviceMemory&& other) noexcept;
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();

  std::byte* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// Memory of the host that the device reads and writes in place, zero at first. Both see it at one address.
class SharedHostMemory {
 public:
  SharedHostMemory() = default;
  static Result<SharedHostMemory> allocate(std::size_t bytes);
  SharedHostMemory(SharedHostMemory&& other) noexcept;
  SharedHostMemory& operator=(SharedHostMemory&& other) noexcept;
  ~SharedHostMemory();

  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
};

// Whose kernels begin first where a device has no room for those of all streams, also once they are recorded.
enum class StreamPriority { lowest, highest };

class Stream {
 public:
  // Does not wait for the default stream.
  static Result<Stream> create(StreamPriority priority = StreamPriority::highest);
  Stream() = default;
  Stream(Stream&& other) noexcept;
  Stream& operator=(Stream&& other) noexcept;
  ~Stream();
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  static Result<Event> create();  // without timing
  Event() = default;
  Event(Event&& other) noexcept;
  Event& operator=(Event&& other) noexcept;
  ~Event();
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Waits until the stream has passed the event, two minutes at most: what a step does is done long before, or
// never.
Status wait_for(const Event& event, std::string_view doing);

// Work that was recorded once and is launched as a whole.
class Graph {
 public:
  // Records what `enqueue` puts on the stream, and on streams that fork from it and join it again.
  static Result<Graph> capture(const Stream& stream, const std::function<Status()>& enqueue);
  Graph() = default;
  Graph(Graph&& other) noexcept;
  Graph& operator=(Graph&& other) noexcept;
  ~Graph();

  Status launch(const Stream& stream) const;
  std::size_t nodes() const { return nodes_; }

 private:
  cudaGraphExec_t executable_ = nullptr;
  std::size_t nodes_ = 0;
};

}  // namespace regatta::cuda

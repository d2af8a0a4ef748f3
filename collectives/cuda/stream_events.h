// Inside collectives/cuda only: how far the operations of a stream are, by events at their begin and their
// end.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "collectives/device_operations.h"

namespace regatta {

Status check_cuda(cudaError_t code, const char* what);

// Two events an operation, made up front and used again. Not thread-safe.
class StreamEvents {
 public:
  static constexpr std::size_t kMostOperations = 256;  // that have not ended

  static Result<std::unique_ptr<StreamEvents>> make();
  ~StreamEvents();
  StreamEvents(const StreamEvents&) = delete;
  StreamEvents& operator=(const StreamEvents&) = delete;

  bool is_full() const { return used_ == kMostOperations; }
  // Numbers rise from call to call. Not when full. Others may begin and end before the end, as in a step
  // whose sums are not in a graph.
  Status begin(std::uint64_t number, cudaStream_t stream);
  Status end(std::uint64_t number, cudaStream_t stream);
  // Tells of each operation in turn how far it is, up to the first that has not ended. An error is the
  // device's.
  Status look(DeviceOperations& operations);

 private:
  StreamEvents() = default;
  struct Slot {
    cudaEvent_t begin = nullptr;
    cudaEvent_t end = nullptr;
    std::uint64_t number = 0;
    // An event that was never recorded says that it has ended.
    bool has_end = false;
  };
  Slot& slot(std::size_t place) { return slots_[(first_ + place) % slots_.size()]; }

  std::vector<Slot> slots_;  // a ring
  std::size_t first_ = 0;
  std::size_t used_ = 0;
};

}  // namespace regatta

// A data set as it was read, in the memory of a device, for as many feeds as use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/dataset.h"
#include "models/cuda/runtime.h"

namespace regatta::cuda {

// Immutable once made.
class ResidentDataset {
 public:
  static Result<std::shared_ptr<const ResidentDataset>> copy_of(const Dataset& dataset);
  static std::size_t bytes_of(const Dataset& dataset);

  // As in Dataset; null where it has none of the kind.
  const std::uint8_t* byte_inputs() const { return has_bytes_ ? inputs_.as<std::uint8_t>() : nullptr; }
  const float* float_inputs() const { return has_bytes_ ? nullptr : inputs_.as<float>(); }
  const std::int32_t* labels() const { return labels_.as<std::int32_t>(); }
  const float* targets() const { return targets_.as<float>(); }

 private:
  bool has_bytes_ = false;
  DeviceMemory inputs_;
  DeviceMemory labels_;
  DeviceMemory targets_;
};

// Those of one device, each once. One thread at a time.
class ResidentDatasets {
 public:
  // Copies it unless it stands there. Data sets that the host has no more are dropped first; their memory is
  // free when their last feed has ended.
  Result<std::shared_ptr<const ResidentDataset>> find_or_copy(const std::shared_ptr<const Dataset>& dataset);
  // Device memory of those that the host still has; the others are dropped.
  std::size_t held_bytes();

 private:
  struct Entry {
    std::weak_ptr<const Dataset> source;
    std::shared_ptr<const ResidentDataset> resident;
  };
  std::vector<Entry> entries_;
};

// Device memory with a copy of the values.
template <class Value>
Result<DeviceMemory> device_copy(const std::vector<Value>& values, std::string_view what) {
  const std::size_t bytes = values.size() * sizeof(Value);
  ASSIGN_OR_RETURN(DeviceMemory memory, DeviceMemory::allocate(bytes, what));
  if (bytes == 0) {
    return memory;
  }
  RETURN_IF_ERROR(check(cudaMemcpy(memory.data(), values.data(), bytes, cudaMemcpyHostToDevice), what));
  // The last of it may still be on its way, for which other streams do not wait by themselves.
  RETURN_IF_ERROR(check(cudaStreamSynchronize(nullptr), what));
  return memory;
}

}  // namespace regatta::cuda

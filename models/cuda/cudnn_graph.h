// What the graph API of cuDNN 9 needs around it: owned descriptors, and the choice of an engine by rules.
// cuDNN's own C++ layer over it is not part of its packages, and this is all of it that is used here.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace regatta {

// "CUDNN_STATUS_…: " and what cuDNN last said in this thread.
std::string cudnn_message(cudnnStatus_t status);

// Owns one descriptor. Settings may be chained; the first that fails is reported by finalize().
class CudnnDescriptor {
 public:
  CudnnDescriptor() = default;
  explicit CudnnDescriptor(cudnnBackendDescriptorType_t type);
  CudnnDescriptor(CudnnDescriptor&& other) noexcept;
  CudnnDescriptor& operator=(CudnnDescriptor&& other) noexcept;
  ~CudnnDescriptor();

  CudnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                       const void* values);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, std::int64_t value);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, std::span<const std::int64_t> values);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, bool value);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, float value);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, const CudnnDescriptor& value);
  CudnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnHandle_t handle);
  Status finalize();

  // Fills `values` with up to `room` of them; how many there are. An attribute that cannot be read has none.
  std::int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t room,
                   void* values) const;

  cudnnBackendDescriptor_t raw() const { return raw_; }
  cudnnStatus_t status() const { return status_; }  // of the first call that failed

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
  cudnnStatus_t status_ = CUDNN_STATUS_SUCCESS;
  std::string message_;
};

using CudnnOperations = std::vector<CudnnDescriptor>;  // of one graph

// What plans are made for: a handle, or the description of a device that need not be there.
struct CudnnDevice {
  cudnnHandle_t handle = nullptr;
  CudnnDescriptor description;
};

// Which engines may be chosen. None whose results differ from run to run ever is.
struct EngineRules {
  bool tensor_cores = true;  // for f32 values they mean tf32 products
  std::int64_t workspace_limit_bytes = std::numeric_limits<std::int64_t>::max();
};

// A graph's engine, ready to run.
struct CudnnPlan {
  CudnnDescriptor plan;
  CudnnDescriptor configuration;  // the plan may go on reading it
  std::int64_t workspace_bytes = 0;
  std::string engine;  // in words, for audits
};

// The first engine that cuDNN's heuristics propose, best first, and that keeps to the rules. Fails with
// cuDNN's last refusal where there is none.
Result<CudnnPlan> choose_plan(const CudnnDevice& device, std::span<const CudnnDescriptor> operations,
                              const EngineRules& rules);

}  // namespace regatta

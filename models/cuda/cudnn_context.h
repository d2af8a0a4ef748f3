// cuDNN on one device: its handle, the plans that were made with it, and their calls.
#pragma once

#include <cuda_runtime.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/cuda/cudnn_graph.h"
#include "models/cuda/dnn_context.h"

namespace regatta {

using SharedPlan = std::shared_ptr<const CudnnPlan>;  // by all operations of one shape

class CudnnContext final : public DnnContext {
 public:
  CudnnContext(CudnnDevice device, std::int64_t workspace_limit_bytes)
      : device_(std::move(device)), workspace_limit_bytes_(workspace_limit_bytes) {}
  CudnnContext(const CudnnContext&) = delete;
  CudnnContext& operator=(const CudnnContext&) = delete;
  ~CudnnContext() override;

  cudnnHandle_t handle() const { return device_.handle; }  // null in an audit

  // The plan of a graph, made, or refused, once for all that share `key`. Its workspace is within the
  // context's limit and that of `rules`, where that has one.
  Result<SharedPlan> plan(const std::string& key, const Result<CudnnOperations>& operations,
                          EngineRules rules);

 private:
  Result<SharedPlan> make(const Result<CudnnOperations>& operations, const EngineRules& rules) const;

  CudnnDevice device_;
  std::int64_t workspace_limit_bytes_;
  std::map<std::string, Result<SharedPlan>> plans_;
};

// A plan and the pack of pointers of its last call, which is made anew only when they change.
class CudnnCall {
 public:
  // `ids`: of the tensors whose pointers each call hands over, in this order.
  CudnnCall(SharedPlan plan, std::vector<std::int64_t> ids)
      : plan_(std::move(plan)), ids_(std::move(ids)), pointers_(ids_.size()) {}

  const CudnnPlan& plan() const { return *plan_; }

  // Pointers of constants are the host's.
  Status run(cudnnHandle_t handle, cudaStream_t stream, void* workspace, std::vector<void*> pointers);

 private:
  SharedPlan plan_;
  std::vector<std::int64_t> ids_;
  std::vector<void*> pointers_;
  void* workspace_ = nullptr;
  CudnnDescriptor pack_;
};

}  // namespace regatta

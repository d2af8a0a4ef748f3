// cuDNN on one device: its handle, the plans that were made with it, and their calls.
#include "models/cuda/cudnn_context.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace regatta {

CudnnContext::~CudnnContext() {
  plans_.clear();
  if (device_.handle != nullptr) {
    cudnnDestroy(device_.handle);
  }
}

Result<SharedPlan> CudnnContext::plan(const std::string& key, const Result<CudnnOperations>& operations,
                                      EngineRules rules) {
  rules.workspace_limit_bytes = std::min(rules.workspace_limit_bytes, workspace_limit_bytes_);
  auto known = plans_.find(key);
  if (known == plans_.end()) {
    known = plans_.emplace(key, make(operations, rules)).first;
  }
  return known->second;
}

Result<SharedPlan> CudnnContext::make(const Result<CudnnOperations>& operations,
                                      const EngineRules& rules) const {
  if (!operations.ok()) {
    return operations.error();
  }
  ASSIGN_OR_RETURN(auto chosen, choose_plan(device_, *operations, rules));
  return std::make_shared<const CudnnPlan>(std::move(chosen));
}

Status CudnnCall::run(cudnnHandle_t handle, cudaStream_t stream, void* workspace,
                      std::vector<void*> pointers) {
  if (pointers != pointers_ || workspace != workspace_ || pack_.raw() == nullptr) {
    pointers_ = std::move(pointers);
    workspace_ = workspace;
    pack_ = CudnnDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    RETURN_IF_ERROR(pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids_)
                        .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                             static_cast<std::int64_t>(pointers_.size()), pointers_.data())
                        .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace_)
                        .finalize());
  }
  cudnnStatus_t status = cudnnSetStream(handle, stream);
  if (status == CUDNN_STATUS_SUCCESS) {
    status = cudnnBackendExecute(handle, plan_->plan.raw(), pack_.raw());
  }
  return status == CUDNN_STATUS_SUCCESS ? Status() : failure(cudnn_message(status));
}

Result<std::unique_ptr<DnnContext>> make_dnn_context(std::int64_t workspace_limit_bytes) {
  CudnnDevice device;
  const cudnnStatus_t status = cudnnCreate(&device.handle);
  if (status != CUDNN_STATUS_SUCCESS) {
    return failure(
        fmt::format("cuDNN cannot use this GPU: {}. cuDNN {}.{} needs a driver that runs CUDA {}.x and "
                    "a GPU of compute capability 7.5 or newer; device: cpu trains without one.",
                    cudnn_message(status), CUDNN_MAJOR, CUDNN_MINOR, cudnnGetCudartVersion() / 1000));
  }
  return std::unique_ptr<DnnContext>(
      std::make_unique<CudnnContext>(std::move(device), workspace_limit_bytes));
}

Result<std::unique_ptr<DnnContext>> audit_dnn_context(const std::string& device_description,
                                                      std::int64_t workspace_limit_bytes) {
  CudnnDevice device;
  device.description = CudnnDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.description.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                         static_cast<std::int64_t>(device_description.size()), device_description.data());
  const Status status = device.description.finalize();
  if (!status.ok()) {
    return failure(
        fmt::format("cuDNN does not understand the description of the device: {}. It must be JSON as "
                    "cuDNN {}.{} writes it.",
                    status.error().message, CUDNN_MAJOR, CUDNN_MINOR));
  }
  return std::unique_ptr<DnnContext>(
      std::make_unique<CudnnContext>(std::move(device), workspace_limit_bytes));
}

}  // namespace regatta

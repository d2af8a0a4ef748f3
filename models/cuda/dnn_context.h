// What plans of convolutions and of attention are made with: cuDNN on a device, or a stand-in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace regatta {

// Keeps the plans, so that the same shape is planned once. One thread at a time; it must outlive what was
// planned with it.
class DnnContext {
 public:
  virtual ~DnnContext() = default;
};

// For the calling thread's current device. Fails where cuDNN cannot use it. A plan never asks for more than
// `workspace_limit_bytes`.
Result<std::unique_ptr<DnnContext>> make_dnn_context(std::int64_t workspace_limit_bytes);

// Plans against a description of a device (JSON as cuDNN writes it), which need not be there: what comes out
// can be looked at, and CHECKs that nobody runs it.
Result<std::unique_ptr<DnnContext>> audit_dnn_context(const std::string& device_description,
                                                      std::int64_t workspace_limit_bytes);

}  // namespace regatta

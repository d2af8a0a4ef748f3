// cuDNN asked what it would do on an H200, by a description of one: no GPU is needed, and nothing is run.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/file.h"
#include "models/cuda/dnn_context.h"

namespace regatta {

// Engines that are compiled at run time want a driver to be there. The toolkit's stub is enough for planning.
inline void load_a_driver() {
  if (dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    ASSERT_NE(dlopen(CUDA_DRIVER_STUB, RTLD_NOW | RTLD_GLOBAL), nullptr) << dlerror();
  }
}

inline std::unique_ptr<DnnContext> h200(std::int64_t workspace_limit_bytes) {
  load_a_driver();
  auto description = read_file(H200_DESCRIPTION);
  EXPECT_TRUE(description.ok());
  auto context = audit_dnn_context(*description, workspace_limit_bytes);
  EXPECT_TRUE(context.ok()) << context.error().message;
  return context.ok() ? std::move(*context) : nullptr;
}

}  // namespace regatta

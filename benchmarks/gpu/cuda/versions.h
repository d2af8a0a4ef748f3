// The libraries that the engine stands on, and the device as they see it.
#pragma once

#include <string>

#include "base/result.h"

namespace regatta::cuda {

struct LibraryVersions {
  std::string cudnn;
  std::string cublaslt;
};
LibraryVersions library_versions();

// JSON as cuDNN writes it of the current device: what plans can be audited against elsewhere.
Result<std::string> device_description();

}  // namespace regatta::cuda

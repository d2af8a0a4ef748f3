// Asks cuDNN and cuBLASLt.
#include "versions.h"

#include <cublasLt.h>
#include <cudnn.h>
#include <fmt/format.h>

#include "models/cuda/cudnn_graph.h"

namespace regatta::cuda {

LibraryVersions library_versions() {
  const std::size_t cudnn = cudnnGetVersion();
  const std::size_t cublaslt = cublasLtGetVersion();
  return {.cudnn = fmt::format("{}.{}.{}", cudnn / 10000, cudnn / 100 % 100, cudnn % 100),
          .cublaslt = fmt::format("{}.{}.{}", cublaslt / 10000, cublaslt / 100 % 100, cublaslt % 100)};
}

Result<std::string> device_description() {
  int device = 0;
  if (cudaGetDevice(&device) != cudaSuccess) {
    return failure("there is no CUDA device here");
  }
  CudnnDescriptor description(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  const std::int32_t number = device;
  description.set(CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &number);
  RETURN_IF_ERROR(description.finalize());
  std::string text(64 << 10, '\0');
  const std::int64_t size = description.get(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                            static_cast<std::int64_t>(text.size()), text.data());
  text.resize(static_cast<std::size_t>(size));
  while (!text.empty() && text.back() == '\0') {
    text.pop_back();
  }
  return text;
}

}  // namespace regatta::cuda

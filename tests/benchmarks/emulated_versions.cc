// benchmarks/gpu/cuda/versions.h where the device is emulated: no libraries.
#include "versions.h"

namespace regatta::cuda {

LibraryVersions library_versions() { return {.cudnn = "emulated", .cublaslt = "emulated"}; }

Result<std::string> device_description() { return failure("cuDNN does not know the emulated device"); }

}  // namespace regatta::cuda

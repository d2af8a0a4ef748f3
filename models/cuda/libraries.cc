// Handles, and how much memory convolutions may borrow.
#include "models/cuda/libraries.h"

#include <algorithm>

#include "models/cuda/runtime.h"

namespace regatta::cuda {
namespace {

// Below about 3 GiB the widest convolutions of many lanes fall back to kernels without tensor cores.
constexpr std::int64_t kMostWorkspace = 4LL << 30;
constexpr std::int64_t kPartOfMemory = 8;  // at most this part of what is free: others need it, too

}  // namespace

Result<std::unique_ptr<Libraries>> open_libraries() {
  std::size_t free = 0;
  std::size_t total = 0;
  RETURN_IF_ERROR(check(cudaMemGetInfo(&free, &total), "asking for the GPU's memory"));
  auto libraries = std::make_unique<Libraries>();
  ASSIGN_OR_RETURN(libraries->matmul, make_matmul_context());
  const std::int64_t most = std::min(kMostWorkspace, static_cast<std::int64_t>(free) / kPartOfMemory);
  ASSIGN_OR_RETURN(libraries->dnn, make_dnn_context(most));
  libraries->attention_bytes = std::min(libraries->attention_bytes, most - most / 16);  // a plan adds some
  return libraries;
}

}  // namespace regatta::cuda

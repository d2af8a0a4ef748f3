// The CUDA runtime's functions about the device, its errors and its kernels, for the emulated device: one of
// compute capability 9.0 with few multiprocessors.
#include <cuda_runtime.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "emulated_cuda/block_runner.h"
#include "emulated_cuda/emulator.h"
#include "emulated_cuda/memory.h"
#include "emulated_cuda/stream.h"

namespace regatta {
namespace {

constexpr int kMaxThreadsOfBlock = 1024;
constexpr int kMaxThreadsOfMultiprocessor = 2048;
constexpr int kMaxBlocksOfMultiprocessor = 32;
constexpr std::size_t kSharedBytes = 48 << 10;        // of a block that asks for nothing special
constexpr std::size_t kSharedBytesOptIn = 227 << 10;  // with cudaFuncAttributeMaxDynamicSharedMemorySize
constexpr std::size_t kSharedBytesOfMultiprocessor = 228 << 10;
constexpr int kRuntimeVersion = CUDART_VERSION;

thread_local cudaError_t last_error = cudaSuccess;
std::map<const void*, std::size_t> shared_limits;  // of kernels that asked

std::size_t shared_limit(const void* kernel) {
  const auto known = shared_limits.find(kernel);
  return known == shared_limits.end() ? kSharedBytes : known->second;
}

cudaError_t check_launch(const EmulatedKernel& kernel) {
  const dim3 grid = kernel.grid;
  const dim3 block = kernel.block;
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMaxThreadsOfBlock || block.z > 64 || grid.x == 0 || grid.y == 0 ||
      grid.z == 0 || grid.x > 2147483647U || grid.y > 65535 || grid.z > 65535) {
    return cudaErrorInvalidConfiguration;
  }
  return kernel.shared_bytes > shared_limit(kernel.function) ? cudaErrorInvalidValue : cudaSuccess;
}

struct ErrorText {
  cudaError_t error;
  const char* name;
  const char* text;
};
#define ERROR_TEXT(error, text) \
  ErrorText { error, #error, text }
constexpr std::array kErrorTexts = {
    ERROR_TEXT(cudaSuccess, "no error"),
    ERROR_TEXT(cudaErrorInvalidValue, "invalid argument"),
    ERROR_TEXT(cudaErrorMemoryAllocation, "out of memory"),
    ERROR_TEXT(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR_TEXT(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR_TEXT(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR_TEXT(cudaErrorNotReady, "device not ready"),
    ERROR_TEXT(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    ERROR_TEXT(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    ERROR_TEXT(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    ERROR_TEXT(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    ERROR_TEXT(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    ERROR_TEXT(cudaErrorStreamCaptureImplicit,
               "operation would make the legacy stream depend on a capturing stream"),
    ERROR_TEXT(cudaErrorStreamCaptureWrongThread,
               "attempt to terminate a thread-local capture from another thread"),
    ERROR_TEXT(cudaErrorCapturedEvent,
               "operation not permitted on an event last recorded in a capturing stream"),
    ERROR_TEXT(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
};
#undef ERROR_TEXT

const ErrorText& text_of(cudaError_t error) {
  static constexpr ErrorText kUnknown = {cudaErrorUnknown, "cudaErrorUnknown",
                                         "an error that the emulated device never gives"};
  const auto* const found = std::find_if(kErrorTexts.begin(), kErrorTexts.end(),
                                         [error](const ErrorText& known) { return known.error == error; });
  return found == kErrorTexts.end() ? kUnknown : *found;
}

const std::map<cudaDeviceAttr, int>& attributes() {
  static const std::map<cudaDeviceAttr, int> values = {
      {cudaDevAttrMaxThreadsPerBlock, kMaxThreadsOfBlock},
      {cudaDevAttrMaxThreadsPerMultiProcessor, kMaxThreadsOfMultiprocessor},
      {cudaDevAttrMaxBlocksPerMultiprocessor, kMaxBlocksOfMultiprocessor},
      {cudaDevAttrMultiProcessorCount, kEmulatedMultiprocessors},
      {cudaDevAttrMaxSharedMemoryPerBlock, kSharedBytes},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, kSharedBytesOptIn},
      {cudaDevAttrMaxSharedMemoryPerMultiprocessor, kSharedBytesOfMultiprocessor},
      {cudaDevAttrWarpSize, 32},
      {cudaDevAttrComputeCapabilityMajor, 9},
      {cudaDevAttrComputeCapabilityMinor, 0},
      {cudaDevAttrCanMapHostMemory, 1},
      {cudaDevAttrUnifiedAddressing, 1},
      {cudaDevAttrL2CacheSize, 1 << 20},
      {cudaDevAttrCooperativeLaunch, 0},
      {cudaDevAttrMemoryPoolsSupported, 0},
      {cudaDevAttrPciBusId, 1},
      {cudaDevAttrPciDeviceId, 0},
      {cudaDevAttrPciDomainId, 0},
  };
  return values;
}

}  // namespace

cudaError_t keep_error(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady) {
    last_error = error;
  }
  return error;
}

void launch_emulated(EmulatedKernel kernel, const std::vector<const void*>& pointers, cudaStream_t stream) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  if (keep_error(check_launch(kernel)) != cudaSuccess) {
    return;
  }
  for (const void* const pointer : pointers) {
    if (pointer != nullptr && emulated_memory().kind_of(pointer) == MemoryKind::kPageable) {
      emulation_failed(fmt::format("kernel {} is given {}, which is neither device memory nor pinned",
                                   kernel_name(kernel.function), fmt::ptr(pointer)));
    }
  }
  const WorkName name{.kernel = kernel.function};
  keep_error(streams.add(
      stream, [kernel = std::move(kernel)] { block_runner().run(kernel); }, name));
}

}  // namespace regatta

using namespace regatta;

extern "C" {

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorName(cudaError_t error) { return text_of(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return text_of(error).text; }

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = kRuntimeVersion;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) { return cudaRuntimeGetVersion(version); }

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return keep_error(device == 0 ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  const auto known = attributes().find(attribute);
  if (known == attributes().end() || device != 0) {
    return keep_error(device != 0 ? cudaErrorInvalidDevice : cudaErrorInvalidValue);
  }
  *value = known->second;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) {
    return keep_error(cudaErrorInvalidDevice);
  }
  *properties = {};
  std::strncpy(properties->name, "Emulated CUDA device", sizeof properties->name - 1);
  properties->totalGlobalMem = emulated_memory().limit();
  properties->sharedMemPerBlock = kSharedBytes;
  properties->sharedMemPerBlockOptin = kSharedBytesOptIn;
  properties->sharedMemPerMultiprocessor = kSharedBytesOfMultiprocessor;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = kMaxThreadsOfBlock;
  properties->maxThreadsPerMultiProcessor = kMaxThreadsOfMultiprocessor;
  properties->maxBlocksPerMultiProcessor = kMaxBlocksOfMultiprocessor;
  const std::array block = {1024, 1024, 64};
  const std::array grid = {2147483647, 65535, 65535};
  std::copy(block.begin(), block.end(), properties->maxThreadsDim);
  std::copy(grid.begin(), grid.end(), properties->maxGridSize);
  properties->major = 9;
  properties->multiProcessorCount = kEmulatedMultiprocessors;
  properties->canMapHostMemory = 1;
  properties->unifiedAddressing = 1;
  properties->l2CacheSize = 1 << 20;
  properties->pciBusID = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  constexpr std::string_view kAddress = "0000:01:00.0";
  if (device != 0 || length <= static_cast<int>(kAddress.size())) {
    return keep_error(device != 0 ? cudaErrorInvalidDevice : cudaErrorInvalidValue);
  }
  std::memcpy(text, kAddress.data(), kAddress.size());
  text[kAddress.size()] = '\0';
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  const std::lock_guard lock(emulated_streams().mutex);
  const cudaError_t refused = emulated_streams().refuse_while_capturing();
  if (refused == cudaSuccess) {
    emulated_streams().finish_everything();
  }
  return keep_error(refused);
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
    if (value < 0 || static_cast<std::size_t>(value) > kSharedBytesOptIn) {
      return keep_error(cudaErrorInvalidValue);
    }
    shared_limits[kernel] = std::max(static_cast<std::size_t>(value), kSharedBytes);
  }
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* values, const void* kernel) {
  const std::lock_guard lock(emulated_streams().mutex);
  *values = {};
  values->maxThreadsPerBlock = kMaxThreadsOfBlock;
  values->maxDynamicSharedSizeBytes = static_cast<int>(shared_limit(kernel));
  values->numRegs = 32;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel, int threads,
                                                          std::size_t shared_bytes) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (threads <= 0 || threads > kMaxThreadsOfBlock || shared_bytes > shared_limit(kernel)) {
    return keep_error(cudaErrorInvalidValue);
  }
  const int by_threads = std::min(kMaxThreadsOfMultiprocessor / threads, kMaxBlocksOfMultiprocessor);
  const auto by_memory = static_cast<int>(kSharedBytesOfMultiprocessor / (shared_bytes + 1024));
  *blocks = std::min(by_threads, by_memory);
  return cudaSuccess;
}

}  // extern "C"

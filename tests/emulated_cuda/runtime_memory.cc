// The CUDA runtime's functions about memory, for the emulated device.
#include <cuda_runtime.h>

#include <cstring>
#include <memory>
#include <mutex>

#include "emulated_cuda/memory.h"
#include "emulated_cuda/stream.h"

namespace regatta {
namespace {

// Rows of `width` bytes, `pitch` bytes from one to the next.
struct Rows {
  char* begin = nullptr;
  std::size_t pitch = 0;
};

struct Copy {
  Rows to;
  Rows from;
  std::size_t width = 0;
  std::size_t height = 1;
  cudaMemcpyKind kind = cudaMemcpyDefault;
};

Rows rows(const void* begin, std::size_t pitch) {
  return {static_cast<char*>(const_cast<void*>(begin)), pitch};
}

std::size_t extent(const Rows& rows, const Copy& copy) {
  return copy.height == 0 || copy.width == 0 ? 0 : rows.pitch * (copy.height - 1) + copy.width;
}

bool side_is_right(const Rows& rows, const Copy& copy, bool should_be_device) {
  const MemoryKind kind = emulated_memory().kind_of(rows.begin);
  if (kind == MemoryKind::kDevice && copy.kind != cudaMemcpyDefault && !should_be_device) {
    return false;
  }
  if (kind == MemoryKind::kPageable) {
    return rows.begin != nullptr && (copy.kind == cudaMemcpyDefault || !should_be_device);
  }
  return emulated_memory().holds(rows.begin, extent(rows, copy));
}

bool is_right(const Copy& copy) {
  if (copy.width == 0 || copy.height == 0) {
    return true;
  }
  const bool to_device = copy.kind == cudaMemcpyHostToDevice || copy.kind == cudaMemcpyDeviceToDevice;
  const bool from_device = copy.kind == cudaMemcpyDeviceToHost || copy.kind == cudaMemcpyDeviceToDevice;
  return (copy.height == 1 || (copy.width <= copy.to.pitch && copy.width <= copy.from.pitch)) &&
         side_is_right(copy.to, copy, to_device) && side_is_right(copy.from, copy, from_device);
}

void perform(const Copy& copy) {
  for (std::size_t row = 0; row < copy.height && copy.width > 0; ++row) {
    std::memmove(copy.to.begin + row * copy.to.pitch, copy.from.begin + row * copy.from.pitch, copy.width);
  }
}

cudaError_t add_copy(Copy copy, cudaStream_t stream) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  if (!is_right(copy)) {
    return keep_error(cudaErrorInvalidValue);
  }
  const bool from_pageable = emulated_memory().kind_of(copy.from.begin) == MemoryKind::kPageable;
  const bool to_pageable = emulated_memory().kind_of(copy.to.begin) == MemoryKind::kPageable;
  const std::shared_ptr<StreamQueue> queue = streams.queue_of(stream);
  if (queue != nullptr && queue->capture != nullptr && (from_pageable || to_pageable)) {
    queue->capture->invalid = true;
    return keep_error(cudaErrorStreamCaptureUnsupported);
  }
  std::shared_ptr<char[]> staged;
  if (from_pageable && extent(copy.from, copy) > 0) {  // staged before the call returns
    const std::size_t bytes = extent(copy.from, copy);
    staged = std::make_shared<char[]>(bytes);
    std::memcpy(staged.get(), copy.from.begin, bytes);
    copy.from.begin = staged.get();
  }
  const cudaError_t error = streams.add(stream, [copy, staged] { perform(copy); }, {.what = "copy"});
  if (error == cudaSuccess && to_pageable) {  // returns once the copy is complete
    streams.finish({queue, queue->issued()});
  }
  return keep_error(error);
}

// Blocking copies go through the legacy stream: they do not wait for non-blocking streams.
cudaError_t copy_and_wait(const Copy& copy) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  cudaError_t error = streams.refuse_while_capturing();
  if (error == cudaSuccess) {
    error = add_copy(copy, nullptr);
  }
  if (error == cudaSuccess) {
    streams.finish({streams.legacy(), streams.legacy()->issued()});
  }
  return keep_error(error);
}

cudaError_t add_fill(void* begin, int value, std::size_t bytes, cudaStream_t stream) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (bytes > 0 && !emulated_memory().holds(begin, bytes)) {
    return keep_error(cudaErrorInvalidValue);
  }
  return keep_error(emulated_streams().add(stream,
                                           [=] {
                                             if (bytes > 0) {
                                               std::memset(begin, value, bytes);
                                             }
                                           },
                                           {.what = "fill"}));
}

// For allocations, which a capture forbids.
template <class Action>
cudaError_t outside_captures(const Action& action) {
  const std::lock_guard lock(emulated_streams().mutex);
  const cudaError_t refused = emulated_streams().refuse_while_capturing();
  return keep_error(refused != cudaSuccess ? refused : action());
}

}  // namespace
}  // namespace regatta

using namespace regatta;

extern "C" {

cudaError_t cudaMalloc(void** address, std::size_t bytes) {
  return outside_captures([&] {
    *address = bytes == 0 ? nullptr : emulated_memory().allocate(bytes);
    return bytes > 0 && *address == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaFree(void* address) {
  return outside_captures([&] {
    if (address == nullptr) {
      return cudaSuccess;
    }
    emulated_streams().finish_everything();
    return emulated_memory().free(address) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaHostAlloc(void** address, std::size_t bytes, unsigned) {
  return outside_captures([&] {
    *address = bytes == 0 ? nullptr : emulated_memory().allocate_pinned(bytes);
    return bytes > 0 && *address == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  });
}

cudaError_t cudaMallocHost(void** address, std::size_t bytes) { return cudaHostAlloc(address, bytes, 0); }

cudaError_t cudaFreeHost(void* address) {
  return outside_captures([&] {
    if (address == nullptr) {
      return cudaSuccess;
    }
    emulated_streams().finish_everything();
    return emulated_memory().free_pinned(address) ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (emulated_memory().kind_of(host) != MemoryKind::kPinned) {
    return keep_error(cudaErrorInvalidValue);
  }
  *device = host;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const std::lock_guard lock(emulated_streams().mutex);
  *total = emulated_memory().limit();
  *free = *total - std::min(*total, emulated_memory().used());
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  const std::lock_guard lock(emulated_streams().mutex);
  const MemoryKind kind = emulated_memory().kind_of(address);
  *attributes = {};
  attributes->type = kind == MemoryKind::kDevice   ? cudaMemoryTypeDevice
                     : kind == MemoryKind::kPinned ? cudaMemoryTypeHost
                                                   : cudaMemoryTypeUnregistered;
  attributes->devicePointer = kind == MemoryKind::kPageable ? nullptr : const_cast<void*>(address);
  attributes->hostPointer = kind == MemoryKind::kPinned ? const_cast<void*>(address) : nullptr;
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  return copy_and_wait({.to = rows(to, bytes), .from = rows(from, bytes), .width = bytes, .kind = kind});
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  return add_copy({.to = rows(to, bytes), .from = rows(from, bytes), .width = bytes, .kind = kind}, stream);
}

cudaError_t cudaMemcpy2D(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                         std::size_t width, std::size_t height, cudaMemcpyKind kind) {
  return copy_and_wait({.to = rows(to, to_pitch),
                        .from = rows(from, from_pitch),
                        .width = width,
                        .height = height,
                        .kind = kind});
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                              std::size_t width, std::size_t height, cudaMemcpyKind kind,
                              cudaStream_t stream) {
  return add_copy({.to = rows(to, to_pitch),
                   .from = rows(from, from_pitch),
                   .width = width,
                   .height = height,
                   .kind = kind},
                  stream);
}

cudaError_t cudaMemsetAsync(void* begin, int value, std::size_t bytes, cudaStream_t stream) {
  return add_fill(begin, value, bytes, stream);
}

// Returns before the memory is set, as on a device.
cudaError_t cudaMemset(void* begin, int value, std::size_t bytes) {
  const std::lock_guard lock(emulated_streams().mutex);
  const cudaError_t refused = emulated_streams().refuse_while_capturing();
  return refused != cudaSuccess ? keep_error(refused) : add_fill(begin, value, bytes, nullptr);
}

}  // extern "C"

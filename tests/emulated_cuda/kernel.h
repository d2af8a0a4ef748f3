// A kernel and its arguments as the emulated device keeps them until their stream is run.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace regatta {

struct EmulatedKernel {
  const void* function = nullptr;  // for its name and its attributes
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;
  std::function<void()> run_thread;
};

// Refuses what a device refuses (shape, shared memory, a pointer to pageable host memory), the error being
// left for cudaPeekAtLastError; else puts the kernel into the stream or into the graph that the stream is
// captured into.
void launch_emulated(EmulatedKernel kernel, const std::vector<const void*>& pointers, cudaStream_t stream);

// Of the block that runs now.
void* dynamic_shared_of_block();

// The function's name as written in the source, without its arguments; its address where the program has no
// symbols.
std::string kernel_name(const void* function);

// Says what went wrong on the emulated device and aborts: for what would hang or corrupt a real one.
[[noreturn]] void emulation_failed(const std::string& what);

}  // namespace regatta

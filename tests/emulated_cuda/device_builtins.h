// Put in front of every file that is compiled for the emulated device (-include): the words and built-in
// functions of CUDA C++ that nvcc knows by itself.
#pragma once

// NVIDIA's headers keep these where they are defined already; g++ must not see the attributes they would
// become.
#define __host__
#define __device__
#define __global__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __shared__ static  // blocks run one after another

#include <cuda_runtime.h>

#include <source_location>

extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
inline constexpr int warpSize = 32;

#include "emulated_cuda/device_atomics.h"
#include "emulated_cuda/device_math.h"
#include "emulated_cuda/device_waits.h"

// The runtime's templates over kernels, which its header gives to nvcc only.
template <class Kernel>
cudaError_t cudaFuncSetAttribute(Kernel* kernel, cudaFuncAttribute attribute, int value) {
  return ::cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), attribute, value);
}

template <class Kernel>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, Kernel* kernel) {
  return ::cudaFuncGetAttributes(attributes, reinterpret_cast<const void*>(kernel));
}

template <class Kernel>
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Kernel* kernel, int threads,
                                                          std::size_t shared_bytes) {
  return ::cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, reinterpret_cast<const void*>(kernel),
                                                         threads, shared_bytes);
}

// See example_kernels.h.
#include <cuda_bf16.h>

#include "emulated_cuda/example_kernels.h"
#include "models/cuda/device.h"
#include "models/cuda/launch.h"

namespace regatta {
using cuda::each_element;
using cuda::launch;
using cuda::LaunchShape;
using cuda::one_thread_each;
using cuda::thread_in_grid;

namespace {

constexpr int kBlock = 256;
constexpr unsigned kAllLanes = 0xFFFFFFFF;

__global__ void fill(float* values, float value, std::int64_t count) {
  each_element(count, [=](std::int64_t i) { values[i] = value; });
}

__global__ void scale(float* values, float factor, std::int64_t count) {
  each_element(count, [=](std::int64_t i) { values[i] *= factor; });
}

__global__ void add(const float* a, const float* b, float* sums, std::int64_t count) {
  each_element(count, [=](std::int64_t i) { sums[i] = a[i] + b[i]; });
}

__device__ float warp_sum(float value) {
  for (int offset = warpSize / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  return value;
}

__global__ void __launch_bounds__(kBlock)
    sum_by_shuffles(const float* __restrict__ values, float* sums, std::int64_t count) {
  __shared__ float of_warp[kBlock / 32];
  const std::int64_t i = thread_in_grid();
  const float sum = warp_sum(i < count ? values[i] : 0.0F);
  if (threadIdx.x % 32 == 0) {
    of_warp[threadIdx.x / 32] = sum;
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    const float total = warp_sum(threadIdx.x < kBlock / 32 ? of_warp[threadIdx.x] : 0.0F);
    if (threadIdx.x == 0) {
      sums[blockIdx.x] = total;
    }
  }
}

__global__ void sum_in_dynamic_shared(const float* values, float* sums, std::int64_t count) {
  DYNAMIC_SHARED(float, partial);
  const std::int64_t i = thread_in_grid();
  partial[threadIdx.x] = i < count ? values[i] : 0.0F;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    sums[blockIdx.x] = partial[0];
  }
}

__global__ void sum_by_atomics(const float* values, float* sums, std::int64_t count) {
  const std::int64_t i = thread_in_grid();
  if (i < count) {
    atomicAdd(&sums[blockIdx.x], values[i]);
  }
}

__global__ void vote(int* results) {
  const int holds = threadIdx.x % 3 == 0 ? 1 : 0;
  const int count = __syncthreads_count(holds);
  const int all = __syncthreads_and(holds);
  const int any = __syncthreads_or(holds);
  int* const mine = results + 4 * threadIdx.x;
  mine[0] = count;
  mine[1] = all;
  mine[2] = any;
  const unsigned lanes = __ballot_sync(__activemask(), holds);
  mine[3] = static_cast<int>(lanes);
}

__global__ void look_at_neighbours(double* next, double* below, double* paired) {
  const double mine = 0.5 + threadIdx.x;
  next[threadIdx.x] = __shfl_down_sync(kAllLanes, mine, 1);
  below[threadIdx.x] = __shfl_up_sync(kAllLanes, mine, 1, 16);
  paired[threadIdx.x] = __shfl_sync(kAllLanes, mine, static_cast<int>(threadIdx.x ^ 1U));
}

__global__ void write_coordinates(int* results) {
  const unsigned x = blockIdx.x * blockDim.x + threadIdx.x;
  results[x + 4 * (blockIdx.y + 3 * blockIdx.z)] = static_cast<int>(100 * blockIdx.z + 10 * blockIdx.y + x);
}

__global__ void forget_barrier(float* reversed) {
  __shared__ float values[kBlock];
  values[threadIdx.x] = -1.0F;
  __syncthreads();
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  reversed[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

__global__ void wait_at_different_barriers() {
  if (threadIdx.x < 16) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

__global__ void miss_a_lane() {
  if (threadIdx.x != 5) {
    __syncwarp();
  }
  __syncthreads();
}

__global__ void write_shared_beyond(int count) {
  DYNAMIC_SHARED(float, values);
  values[count] = 1.0F;
}

__global__ void do_nothing() {}

}  // namespace

void start_fill(float* values, float value, std::int64_t count, cudaStream_t stream) {
  launch(fill, one_thread_each(count), stream, values, value, count);
}

void start_scale(float* values, float factor, std::int64_t count, cudaStream_t stream) {
  launch(scale, one_thread_each(count), stream, values, factor, count);
}

void start_add(const float* a, const float* b, float* sums, std::int64_t count, cudaStream_t stream) {
  launch(add, one_thread_each(count), stream, a, b, sums, count);
}

void start_sum_by_shuffles(const float* values, float* sums, std::int64_t count, cudaStream_t stream) {
  launch(sum_by_shuffles, one_thread_each(count, kBlock), stream, values, sums, count);
}

void start_sum_in_dynamic_shared(const float* values, float* sums, std::int64_t count, cudaStream_t stream) {
  LaunchShape shape = one_thread_each(count, kBlock);
  shape.shared_bytes = kBlock * sizeof(float);
  launch(sum_in_dynamic_shared, shape, stream, values, sums, count);
}

void start_sum_by_atomics(const float* values, float* sums, std::int64_t count, cudaStream_t stream) {
  launch(sum_by_atomics, one_thread_each(count, kBlock), stream, values, sums, count);
}

void start_votes(int* results, int threads, cudaStream_t stream) {
  launch(vote, {.grid = dim3(1), .block = dim3(threads)}, stream, results);
}

void start_neighbours(double* next, double* below, double* paired, cudaStream_t stream) {
  launch(look_at_neighbours, {.grid = dim3(1), .block = dim3(32)}, stream, next, below, paired);
}

void start_coordinates(int* results, cudaStream_t stream) {
  launch(write_coordinates, {.grid = dim3(2, 3, 2), .block = dim3(2)}, stream, results);
}

void start_forgotten_barrier(float* reversed, cudaStream_t stream) {
  launch(forget_barrier, {.grid = dim3(1), .block = dim3(kBlock)}, stream, reversed);
}

void start_different_barriers(cudaStream_t stream) {
  launch(wait_at_different_barriers, {.grid = dim3(1), .block = dim3(32)}, stream);
}

void start_missing_lane(cudaStream_t stream) {
  launch(miss_a_lane, {.grid = dim3(1), .block = dim3(32)}, stream);
}

void start_writing_shared_beyond(cudaStream_t stream) {
  launch(write_shared_beyond, {.grid = dim3(1), .block = dim3(1), .shared_bytes = 64}, stream, 16);
}

void start_with_threads(int threads, cudaStream_t stream) {
  launch(do_nothing, {.grid = dim3(1), .block = dim3(threads)}, stream);
}

void start_with_shared_bytes(int bytes, bool announced, cudaStream_t stream) {
  if (announced) {
    static_cast<void>(cudaFuncSetAttribute(do_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  }
  launch(do_nothing, {.grid = dim3(1), .block = dim3(1), .shared_bytes = static_cast<std::size_t>(bytes)},
         stream);
}

}  // namespace regatta

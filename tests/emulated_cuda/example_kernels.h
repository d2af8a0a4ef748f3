// Kernels that the tests of the emulated device start; written as the kernels of models/cuda are.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace regatta {

void start_fill(float* values, float value, std::int64_t count, cudaStream_t stream);
void start_scale(float* values, float factor, std::int64_t count, cudaStream_t stream);
void start_add(const float* a, const float* b, float* sums, std::int64_t count, cudaStream_t stream);

// sums[b] = Σ values of block b's 256 elements: through static shared memory and shuffles, or dynamic shared
// memory and barriers, or one atomic addition per element.
void start_sum_by_shuffles(const float* values, float* sums, std::int64_t count, cudaStream_t stream);
void start_sum_in_dynamic_shared(const float* values, float* sums, std::int64_t count, cudaStream_t stream);
void start_sum_by_atomics(const float* values, float* sums, std::int64_t count, cudaStream_t stream);

// results[i] for each i of a block of `threads`: how many predicates (i % 3 == 0) hold, by
// __syncthreads_count; then whether all and whether any do; then the warp's ballot of them.
void start_votes(int* results, int threads, cudaStream_t stream);
// Each lane's value from the next lane, the one below, and its pair, as doubles.
void start_neighbours(double* next, double* below, double* paired, cudaStream_t stream);

// results[x + 4·(y + 3·z)] = 100·z + 10·y + x over a grid of (2, 3, 2) blocks of (2, 1, 1) threads.
void start_coordinates(int* results, cudaStream_t stream);

// What must not be done: read a neighbour's shared value without a barrier between; wait at different
// barriers, or where not all of a warp's lanes come; write behind the end; ask for more threads or shared
// memory than there is.
void start_forgotten_barrier(float* reversed, cudaStream_t stream);
void start_different_barriers(cudaStream_t stream);
void start_missing_lane(cudaStream_t stream);
void start_writing_shared_beyond(cudaStream_t stream);
void start_with_threads(int threads, cudaStream_t stream);
void start_with_shared_bytes(int bytes, bool announced, cudaStream_t stream);

}  // namespace regatta

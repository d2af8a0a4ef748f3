// Means and deviations of the columns. Reductions in two stages, over chunks of the points and then over the
// chunks, in an order that depends on the shape only.
#include "models/cuda/batch_norm_kernels.h"
#include "models/cuda/batch_norm_work.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/moments.h"

namespace regatta::cuda {
namespace {

// A step without a row, as when kernels are loaded, shall not divide by 0.
__device__ __forceinline__ double at_least_one(double n) { return max(n, 1.0); }

// The moments of a thread's points, of which a few at a time are summed up in two passes.
template <int Size, class Element>
__device__ __forceinline__ float moments_of_thread(const ThreadColumns<Size>& columns, std::int64_t width,
                                                   const Element* x, Moments<float> (&moments)[Size]) {
  constexpr int kAtOnce = 4;
  float count = 0;
  for (std::int64_t point = columns.first; point < columns.end; point += kAtOnce * blockDim.y) {
    Floats<Size> values[kAtOnce];
    bool used[kAtOnce];
    float others = 0;
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const std::int64_t at = point + i * blockDim.y;
      used[i] = at < columns.end;
      values[i] = load<Size>(x + (used[i] ? at : point) * width + columns.column);
      others += used[i] ? 1.0F : 0.0F;
    }
    const Joint<float> joint(count, others);
#pragma unroll
    for (int j = 0; j < Size; ++j) {
      Moments<float> of_few = {};
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        of_few.mean += used[i] ? values[i].at[j] : 0.0F;
      }
      of_few.mean /= others;
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const float distance = values[i].at[j] - of_few.mean;
        of_few.squares += used[i] ? distance * distance : 0.0F;
      }
      join(joint, of_few, moments[j]);
    }
    count += others;
  }
  return count;
}

// partial[chunk][mean, squares][width]
template <int Size, class Element>
__global__ void take_moments_of_chunks(ColumnWork work, std::int64_t positions, const BatchNumbers* batch,
                                       const Element* __restrict__ x, float* __restrict__ partial) {
  __shared__ Moments<float> shared[Size][kColumnThreads];
  __shared__ float counts[kColumnThreads];
  const ThreadColumns<Size> columns(work, points_in_use(batch, positions));
  const unsigned thread = threadIdx.y * blockDim.x + threadIdx.x;
  Moments<float> moments[Size] = {};
  counts[thread] = columns.inside ? moments_of_thread<Size>(columns, work.width, x, moments) : 0.0F;
#pragma unroll
  for (int j = 0; j < Size; ++j) {
    shared[j][thread] = moments[j];
  }
  __syncthreads();
  for (unsigned height = blockDim.y / 2; height > 0; height /= 2) {
    if (threadIdx.y < height) {
      const unsigned other = thread + height * blockDim.x;
      const Joint<float> joint(counts[thread], counts[other]);
      counts[thread] += counts[other];
#pragma unroll
      for (int j = 0; j < Size; ++j) {
        join(joint, shared[j][other], shared[j][thread]);
      }
    }
    __syncthreads();
  }
  if (threadIdx.y == 0 && columns.inside) {
    float* const results = partial + 2 * blockIdx.y * work.width + columns.column;
#pragma unroll
    for (int j = 0; j < Size; ++j) {
      results[j] = shared[j][thread].mean;
      results[work.width + j] = shared[j][thread].squares;
    }
  }
}

__global__ void join_chunks(ColumnWork work, std::int64_t positions, const BatchNumbers* batch,
                            const float* __restrict__ partial, float* __restrict__ sums) {
  __shared__ Moments<double> shared[kChunkThreads][kChunkColumns];
  __shared__ double counts[kChunkThreads][kChunkColumns];
  const std::int64_t column = chunk_column();
  const std::int64_t points = points_in_use(batch, positions);
  Moments<double> moments = {};
  double count = 0;
  for (std::int64_t chunk = threadIdx.y; column < work.width && chunk * work.chunk < points;
       chunk += kChunkThreads) {
    const auto others = static_cast<double>(min(work.chunk, points - chunk * work.chunk));
    const float* const of_chunk = partial + 2 * chunk * work.width + column;
    const Moments<double> of_others{of_chunk[0], of_chunk[work.width]};
    join(Joint<double>(count, others), of_others, moments);
    count += others;
  }
  shared[threadIdx.y][threadIdx.x] = moments;
  counts[threadIdx.y][threadIdx.x] = count;
  __syncthreads();
  if (threadIdx.y == 0 && column < work.width) {
    for (int i = 1; i < kChunkThreads; ++i) {
      join(Joint<double>(count, counts[i][threadIdx.x]), shared[i][threadIdx.x], moments);
      count += counts[i][threadIdx.x];
    }
    sums[column] = static_cast<float>(moments.mean);
    sums[work.width + column] = static_cast<float>(moments.squares);
  }
}

// A thread a column. The running variance is the unbiased estimate, as in PyTorch.
__device__ void set_column(const BatchNormShape& shape, const BatchNormMemory& memory,
                           const StepNumbers& numbers, std::int64_t column, float mean, float squares,
                           double n) {
  memory.mean[column] = mean;
  memory.inverse[column] =
      static_cast<float>(1 / sqrt(static_cast<double>(squares) / n + static_cast<double>(shape.epsilon)));
  if (column == 0) {
    *memory.one_over_n = static_cast<float>(1 / n);
  }
  if (numbers.lanes[column / shape.channels].active != 0) {
    const auto unbiased = static_cast<float>(static_cast<double>(squares) / max(n - 1, 1.0));
    memory.running_mean[column] += shape.momentum * (mean - memory.running_mean[column]);
    memory.running_variance[column] += shape.momentum * (unbiased - memory.running_variance[column]);
  }
}

__device__ __forceinline__ std::int64_t column_of_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__global__ void set_alone(BatchNormShape shape, BatchNormMemory memory, StepNumbers numbers) {
  const std::int64_t column = column_of_thread();
  if (column < shape.width) {
    set_column(shape, memory, numbers, column, memory.sums[column], memory.sums[shape.width + column],
               at_least_one(static_cast<double>(points_in_use(numbers.batch, shape.positions))));
  }
}

__global__ void offer_sums(BatchNormShape shape, BatchNormMemory memory, StepNumbers numbers) {
  const std::int64_t column = column_of_thread();
  if (column < shape.width) {
    memory.exchanged[1 + column] =
        memory.sums[column] * static_cast<float>(points_in_use(numbers.batch, shape.positions));
    if (column == 0) {
      memory.exchanged[0] = static_cast<float>(numbers.batch->count);
    }
  }
}

__device__ __forceinline__ double points_of_all(const BatchNormShape& shape, const BatchNormMemory& memory) {
  return at_least_one(static_cast<double>(memory.exchanged[0]) * static_cast<double>(shape.positions));
}

// From the mean of all ranks: squares about it are those about one's own mean, and n times the distance's
// square.
__global__ void offer_squares(BatchNormShape shape, BatchNormMemory memory, StepNumbers numbers) {
  const std::int64_t column = column_of_thread();
  if (column < shape.width) {
    const auto mean =
        static_cast<float>(static_cast<double>(memory.exchanged[1 + column]) / points_of_all(shape, memory));
    const float distance = memory.sums[column] - mean;
    memory.mean[column] = mean;
    memory.exchanged[1 + column] =
        memory.sums[shape.width + column] +
        distance * distance * static_cast<float>(points_in_use(numbers.batch, shape.positions));
  }
}

__global__ void set_together(BatchNormShape shape, BatchNormMemory memory, StepNumbers numbers) {
  const std::int64_t column = column_of_thread();
  if (column < shape.width) {
    set_column(shape, memory, numbers, column, memory.mean[column], memory.exchanged[1 + column],
               points_of_all(shape, memory));
  }
}

void for_columns(void (*kernel)(BatchNormShape, BatchNormMemory, StepNumbers), cudaStream_t stream,
                 const BatchNormShape& shape, const BatchNormMemory& memory, const StepNumbers& numbers) {
  launch(kernel, one_thread_each(shape.width), stream, shape, memory, numbers);
}

}  // namespace

void take_moments(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                  const StepNumbers& numbers, const void* x) {
  with_packs(shape.type, shape.width, [&](auto element, auto size) {
    using Element = decltype(element);
    constexpr int kSize = decltype(size)::value;
    const ColumnWork work = sum_work(shape, kSize);
    launch(take_moments_of_chunks<kSize, Element>, launch_shape(work), stream, work, shape.positions,
           numbers.batch, static_cast<const Element*>(x), memory.partial);
    launch(join_chunks, chunk_shape(shape.width), stream, work, shape.positions, numbers.batch,
           memory.partial, memory.sums);
  });
}

void set_statistics(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                    const StepNumbers& numbers) {
  for_columns(set_alone, stream, shape, memory, numbers);
}

void offer_means(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                 const StepNumbers& numbers) {
  for_columns(offer_sums, stream, shape, memory, numbers);
}

void offer_deviations(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                      const StepNumbers& numbers) {
  for_columns(offer_squares, stream, shape, memory, numbers);
}

void set_exchanged_statistics(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                              const StepNumbers& numbers) {
  for_columns(set_together, stream, shape, memory, numbers);
}

}  // namespace regatta::cuda

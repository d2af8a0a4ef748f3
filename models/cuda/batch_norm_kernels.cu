// What batch normalisation makes of the statistics: values, and their gradients, whose sums are made in two
// stages, in an order that depends on the shape only.
#include "models/cuda/batch_norm_kernels.h"
#include "models/cuda/batch_norm_work.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"

namespace regatta::cuda {
namespace {

ColumnWork value_work(const BatchNormShape& shape, int pack) {
  constexpr std::int64_t kBlocks = 4096;  // more than for sums, since nothing is summed up
  return column_work(shape.points, shape.width, pack, kBlocks);
}

// y = (x - mean) · factor + shift of a thread's columns. The same bits wherever it is computed, so that
// backward knows where y was above 0.
template <int Size>
struct Affine {
  Floats<Size> mean;
  Floats<Size> factor;
  Floats<Size> shift;

  // `is_variance`: `spread` is σ² instead of 1 / √(σ² + ε).
  __device__ Affine(const BatchNormMemory& memory, const float* means, const float* spread, bool is_variance,
                    float epsilon, std::int64_t column) {
#pragma unroll
    for (int j = 0; j < Size; ++j) {
      const float value = spread[column + j];
      mean.at[j] = means[column + j];
      factor.at[j] = memory.weight[column + j] * (is_variance ? 1 / sqrtf(value + epsilon) : value);
      shift.at[j] = memory.bias[column + j];
    }
  }

  __device__ float operator()(int j, float x) const {
    return fmaf(x - mean.at[j], factor.at[j], shift.at[j]);
  }
};

template <int Size, class Element>
__global__ void normalise_points(ColumnWork work, BatchNormMemory memory, const float* means,
                                 const float* spread, bool is_variance, float epsilon, bool relu,
                                 const Element* __restrict__ x, Element* __restrict__ y) {
  const ThreadColumns<Size> columns(work, work.points);
  if (!columns.inside) {
    return;
  }
  const Affine<Size> affine(memory, means, spread, is_variance, epsilon, columns.column);
#pragma unroll 4
  for (std::int64_t point = columns.first; point < columns.end; point += blockDim.y) {
    const std::int64_t at = point * work.width + columns.column;
    Floats<Size> values = load<Size>(x + at);
#pragma unroll
    for (int j = 0; j < Size; ++j) {
      const float value = affine(j, values.at[j]);
      values.at[j] = relu && value < 0 ? 0.0F : value;
    }
    store(values, y + at);
  }
}

// dy behind a relu, NaN staying NaN.
template <int Size>
__device__ __forceinline__ void mask(const Affine<Size>& affine, const Floats<Size>& x, Floats<Size>& dy) {
#pragma unroll
  for (int j = 0; j < Size; ++j) {
    const float gradient = dy.at[j];
    dy.at[j] = affine(j, x.at[j]) > 0 || gradient != gradient ? gradient : 0.0F;
  }
}

// partial[chunk][Σdy, Σ dy (x - μ)][width]
template <int Size, class Element>
__global__ void sum_gradients_of_chunks(ColumnWork work, std::int64_t positions, const BatchNumbers* batch,
                                        BatchNormMemory memory, bool relu, const Element* __restrict__ x,
                                        const Element* __restrict__ dy, float* __restrict__ partial) {
  const ThreadColumns<Size> columns(work, points_in_use(batch, positions));
  Floats<Size> sums[2] = {};
  if (columns.inside) {
    const Affine<Size> affine(memory, memory.mean, memory.inverse, false, 0, columns.column);
#pragma unroll 2
    for (std::int64_t point = columns.first; point < columns.end; point += blockDim.y) {
      const std::int64_t at = point * work.width + columns.column;
      const Floats<Size> values = load<Size>(x + at);
      Floats<Size> gradients = load<Size>(dy + at);
      if (relu) {
        mask(affine, values, gradients);
      }
#pragma unroll
      for (int j = 0; j < Size; ++j) {
        sums[0].at[j] += gradients.at[j];
        sums[1].at[j] += gradients.at[j] * (values.at[j] - affine.mean.at[j]);
      }
    }
  }
  sum_over_block(sums);
  if (threadIdx.y == 0 && columns.inside) {
    float* const results = partial + 2 * blockIdx.y * work.width + columns.column;
#pragma unroll
    for (int j = 0; j < Size; ++j) {
      results[j] = sums[0].at[j];
      results[work.width + j] = sums[1].at[j];
    }
  }
}

__global__ void finish_gradient_sums(std::int64_t chunks, std::int64_t width, BatchNormMemory memory,
                                     float* weight_gradient, float* bias_gradient) {
  double sums[2];
  sum_chunks(memory.partial, chunks, width, sums);
  const std::int64_t column = chunk_column();
  if (threadIdx.y == 0 && column < width) {
    memory.sums[column] = static_cast<float>(sums[0]);
    memory.sums[width + column] = static_cast<float>(sums[1]);
    bias_gradient[column] = static_cast<float>(sums[0]);
    weight_gradient[column] = static_cast<float>(sums[1]) * memory.inverse[column];
  }
}

template <int Size, class Element>
__global__ void write_gradients(ColumnWork work, std::int64_t positions, const BatchNumbers* batch,
                                BatchNormMemory memory, bool relu, const Element* __restrict__ x,
                                const Element* __restrict__ dy, Element* __restrict__ dx) {
  const ThreadColumns<Size> columns(work, work.points);
  if (!columns.inside) {
    return;
  }
  const std::int64_t used = points_in_use(batch, positions);
  const Affine<Size> affine(memory, memory.mean, memory.inverse, false, 0, columns.column);
  Floats<Size> offset;
  Floats<Size> slope;
#pragma unroll
  for (int j = 0; j < Size; ++j) {
    const std::int64_t column = columns.column + j;
    const float inverse = memory.inverse[column];
    offset.at[j] = memory.sums[column] * *memory.one_over_n;
    slope.at[j] = memory.sums[work.width + column] * inverse * inverse * *memory.one_over_n;
  }
#pragma unroll 2
  for (std::int64_t point = columns.first; point < columns.end; point += blockDim.y) {
    const std::int64_t at = point * work.width + columns.column;
    Floats<Size> gradients = {};
    if (point < used) {
      const Floats<Size> values = load<Size>(x + at);
      gradients = load<Size>(dy + at);
      if (relu) {
        mask(affine, values, gradients);
      }
#pragma unroll
      for (int j = 0; j < Size; ++j) {
        gradients.at[j] = affine.factor.at[j] *
                          (gradients.at[j] - offset.at[j] - (values.at[j] - affine.mean.at[j]) * slope.at[j]);
      }
    }
    store(gradients, dx + at);
  }
}

}  // namespace

std::int64_t BatchNormShape::partial_floats() const {
  std::int64_t floats = 0;
  with_packs(type, width,
             [&](auto, auto size) { floats = 2 * sum_work(*this, decltype(size)::value).chunks() * width; });
  return floats;
}

void normalise(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
               Statistics statistics, const void* x, void* y) {
  const bool running = statistics == Statistics::running;
  with_packs(shape.type, shape.width, [&](auto element, auto size) {
    using Element = decltype(element);
    constexpr int kSize = decltype(size)::value;
    const ColumnWork work = value_work(shape, kSize);
    launch(normalise_points<kSize, Element>, launch_shape(work), stream, work, memory,
           running ? memory.running_mean : memory.mean, running ? memory.running_variance : memory.inverse,
           running, shape.epsilon, shape.relu, static_cast<const Element*>(x), static_cast<Element*>(y));
  });
}

void sum_gradients(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                   const StepNumbers& numbers, const void* x, const void* dy, float* weight_gradient,
                   float* bias_gradient) {
  with_packs(shape.type, shape.width, [&](auto element, auto size) {
    using Element = decltype(element);
    constexpr int kSize = decltype(size)::value;
    const ColumnWork work = sum_work(shape, kSize);
    launch(sum_gradients_of_chunks<kSize, Element>, launch_shape(work), stream, work, shape.positions,
           numbers.batch, memory, shape.relu, static_cast<const Element*>(x), static_cast<const Element*>(dy),
           memory.partial);
    launch(finish_gradient_sums, chunk_shape(shape.width), stream, work.chunks(), shape.width, memory,
           weight_gradient, bias_gradient);
  });
}

void write_input_gradient(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                          const StepNumbers& numbers, const void* x, const void* dy, void* dx) {
  with_packs(shape.type, shape.width, [&](auto element, auto size) {
    using Element = decltype(element);
    constexpr int kSize = decltype(size)::value;
    const ColumnWork work = value_work(shape, kSize);
    launch(write_gradients<kSize, Element>, launch_shape(work), stream, work, shape.positions, numbers.batch,
           memory, shape.relu, static_cast<const Element*>(x), static_cast<const Element*>(dy),
           static_cast<Element*>(dx));
  });
}

}  // namespace regatta::cuda

// The device's part of batch normalisation; see batch_norm.cc for the equations. A column is a channel of a
// lane, [width] of them; everything per column is f32.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/element_type.h"
#include "models/cuda/step_numbers.h"

namespace regatta::cuda {

struct BatchNormShape {
  std::int64_t points = 0;
  std::int64_t positions = 1;  // points of a row
  std::int64_t width = 0;
  std::int64_t channels = 1;  // of a lane
  ElementType type = ElementType::f32;
  float momentum = 0;
  float epsilon = 0;
  bool relu = false;  // y = relu(y), too

  std::int64_t partial_floats() const;
};

struct BatchNormMemory {
  const float* weight = nullptr;
  const float* bias = nullptr;
  float* running_mean = nullptr;
  float* running_variance = nullptr;
  // Of the step, kept for backward.
  float* mean = nullptr;        // μ
  float* inverse = nullptr;     // 1 / √(σ² + ε)
  float* one_over_n = nullptr;  // one number
  // For a direction only.
  float* partial = nullptr;    // partial_floats()
  float* sums = nullptr;       // two kinds, [2][width]
  float* exchanged = nullptr;  // [1 + width]: rows in use, then a sum of each column
};

// Forward, in training, of the rows in use. The sums are this rank's means, then its squared deviations.
void take_moments(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                  const StepNumbers& numbers, const void* x);
// Where this rank is alone: what is kept for backward, and the running statistics.
void set_statistics(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                    const StepNumbers& numbers);
// Else, one after the other, `exchanged` being summed over the ranks after the first, and its columns after
// the second.
void offer_means(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                 const StepNumbers& numbers);
void offer_deviations(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                      const StepNumbers& numbers);
void set_exchanged_statistics(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                              const StepNumbers& numbers);

// y of all rows, used or not, by the step's statistics or by the running ones.
enum class Statistics { of_step, running };
void normalise(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
               Statistics statistics, const void* x, void* y);

// Backward. The sums are Σdy and Σ dy (x - μ), and make this rank's dβ and dγ.
void sum_gradients(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                   const StepNumbers& numbers, const void* x, const void* dy, float* weight_gradient,
                   float* bias_gradient);
// By the sums over all ranks. Rows that are not in use have no gradient.
void write_input_gradient(cudaStream_t stream, const BatchNormShape& shape, const BatchNormMemory& memory,
                          const StepNumbers& numbers, const void* x, const void* dy, void* dx);

}  // namespace regatta::cuda

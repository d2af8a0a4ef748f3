// The optimizer's step for the weights of all lanes on the device.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "models/cuda/health.h"
#include "models/cuda/parameters.h"
#include "models/cuda/runtime.h"
#include "models/cuda/step_numbers.h"

namespace regatta::cuda {

// A run of the flat buffers that one block of threads updates.
struct UpdateSegment {
  std::int64_t offset = 0;  // in floats
  std::int32_t size = 0;
  std::int32_t lane = 0;
  std::int32_t decays = 0;
};

// One pass over weights, gradients and moments, in every active lane with its own numbers; the arithmetic is
// that of models/optimizer.h. With `gradient_clip` a smaller pass measures the gradients first.
class Update {
 public:
  // The parameters outlive this.
  static Result<Update> plan(const Parameters& parameters, std::optional<double> gradient_clip);

  void enqueue(const StepNumbers& numbers, const Health& health, cudaStream_t stream) const;
  // Renews the weights' bf16 copy, where there is one, after the host has changed weights.
  void renew_copies(cudaStream_t stream) const;

 private:
  const Parameters* parameters_ = nullptr;
  std::optional<double> gradient_clip_;
  std::int64_t segments_ = 0;
  DeviceMemory table_;         // UpdateSegment, in the order of the buffer
  DeviceMemory norms_;         // clipping: squared, one a segment
  DeviceMemory counters_;      // of is_last_block, one a lane
  DeviceMemory clip_factors_;  // one a lane
};

}  // namespace regatta::cuda

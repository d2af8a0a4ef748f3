// How the ranks of a crew act as one on their devices.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "base/result.h"

namespace regatta::cuda {

// Calls only enqueue, alike on all ranks, also into a graph that is being recorded.
class DeviceExchange {
 public:
  virtual ~DeviceExchange() = default;
  // Sums over the ranks, in place, in the stream's order. (Batch statistics.)
  virtual Status sum(float* values, std::size_t count, cudaStream_t stream) = 0;
  // The first `floats` of the flat gradients are final on this rank: called in rising order during backward.
  // Their sum may be made beside the stream's further work.
  virtual Status ready(float* gradients, std::size_t floats, cudaStream_t stream) = 0;
  // The stream goes on when the sum of all gradients is there.
  virtual Status finish(cudaStream_t stream) = 0;
  // Around the launch of a step on `stream`: whether the ranks still answer is watched from here to there.
  virtual Status begin_step(cudaStream_t stream) = 0;
  virtual Status end_step(cudaStream_t stream) = 0;
  // After waiting for a stream: whether what it computed counts. A dead rank's operations are given up, and
  // the streams go on with anything in the buffers.
  virtual Status status() const = 0;
};

}  // namespace regatta::cuda

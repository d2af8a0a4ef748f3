// A step's batch in device memory, and who puts it there.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "base/result.h"
#include "models/cuda/element_type.h"
#include "models/cuda/step_numbers.h"
#include "models/engine.h"

namespace regatta::cuda {

// How a sample's inputs stand: [positions][channels] of what the host has as [channels][positions].
struct InputLayout {
  ElementType type = ElementType::f32;
  std::uint32_t positions = 1;
  std::uint32_t channels = 1;
};

// For as many rows as the larger of the engine's capacities. Rows that are not in use hold zeros.
struct DeviceBatch {
  void* inputs = nullptr;                // [rows, sample...]
  InputLayout layout;                    // of a sample's inputs
  std::int32_t* labels = nullptr;        // [rows, positions]
  float* targets = nullptr;              // [rows, targets]
  std::int32_t* other_labels = nullptr;  // as labels: the sample that was mixed in
  float* label_shares = nullptr;         // [rows]
};

// Brings batches to the device. One thread at a time, in this order: stage(), then the work of enqueue(),
// which may be a recorded graph, then enqueued().
class BatchFeed {
 public:
  virtual ~BatchFeed() = default;
  // Whether its rows are two samples each, and other labels and shares count.
  virtual bool is_mixed(const BatchView& batch) const = 0;
  // What must be done outside of a recorded step: the host's values go on their way. May wait until the
  // device has done with an earlier batch.
  virtual Status stage(const BatchView& batch, cudaStream_t stream) = 0;
  // Puts on the stream what begins the step and fills `to` with `rows` rows, those in use as the step's
  // numbers tell.
  virtual Status enqueue(const DeviceBatch& to, std::int64_t rows, const StepStart& start,
                         cudaStream_t stream) = 0;
  virtual Status enqueued(cudaStream_t stream) = 0;
};

}  // namespace regatta::cuda

// Where a step's batch stands on the device.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "models/cuda/batch.h"
#include "models/cuda/runtime.h"

namespace regatta::cuda {

// What a batch holds, for its largest number of rows.
struct BatchSizes {
  std::int64_t rows = 0;
  std::int64_t inputs = 0;   // floats of a sample
  std::int64_t labels = 0;   // of a sample; 0: regression
  std::int64_t targets = 0;  // of a sample; 0: classification
};

class BatchMemory {
 public:
  static Result<BatchMemory> allocate(const BatchSizes& sizes);
  DeviceBatch batch(const InputLayout& layout) const;

 private:
  DeviceMemory inputs_;
  DeviceMemory labels_;
  DeviceMemory targets_;
  DeviceMemory other_labels_;
  DeviceMemory label_shares_;
};

}  // namespace regatta::cuda

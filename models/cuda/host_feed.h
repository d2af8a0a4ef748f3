// Batches that the host has made, on their way to the device.
#pragma once

#include <memory>

#include "base/result.h"
#include "models/cuda/batch.h"

namespace regatta::cuda {

// What a batch holds, for its largest number of rows.
struct BatchSizes {
  std::int64_t rows = 0;
  std::int64_t inputs = 0;   // floats of a sample
  std::int64_t labels = 0;   // of a sample; 0: regression
  std::int64_t targets = 0;  // of a sample; 0: classification
};

// The batches are copied into memory that the device can fetch from by itself, and from there by a stream of
// their own while earlier steps compute.
Result<std::unique_ptr<BatchFeed>> make_host_feed(const BatchSizes& sizes);

}  // namespace regatta::cuda

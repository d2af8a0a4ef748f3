// Batches that the host has made, on their way to the device.
#pragma once

#include <memory>

#include "base/result.h"
#include "models/cuda/batch.h"
#include "models/cuda/batch_memory.h"

namespace regatta::cuda {

// The batches are copied into memory that the device can fetch from by itself, and from there by a stream of
// their own while earlier steps compute.
Result<std::unique_ptr<BatchFeed>> make_host_feed(const BatchSizes& sizes);

}  // namespace regatta::cuda

// The GPU backend of the training engine.
#pragma once

#include <memory>

#include "base/result.h"
#include "models/engine.h"

namespace regatta::cuda {

class BatchFeed;
class DeviceExchange;
struct Libraries;

struct CudaEngineOptions {
  int device = 0;  // as the CUDA runtime numbers them
  // Who brings the batches; null: they come from the host, in train() and evaluate().
  std::unique_ptr<BatchFeed> training_feed;
  std::unique_ptr<BatchFeed> evaluation_feed;
  DeviceExchange* exchange = nullptr;  // of a crew of several ranks; outlives the engine
  Libraries* libraries = nullptr;      // of this device; outlive the engine. null: it opens its own
};

// All of a step is recorded once as a CUDA graph and then replayed; nothing in it waits for the host, nor the
// host for it until finish(). Memory of EngineOptions and TrainStep::exchange are not used: gradients are
// summed by `exchange`. An error tells why the network cannot run on this device, and what to lower where its
// memory is too small.
Result<std::unique_ptr<Engine>> make_cuda_engine(const ModelConfig& config, const EngineOptions& options,
                                                 CudaEngineOptions device_options);

}  // namespace regatta::cuda

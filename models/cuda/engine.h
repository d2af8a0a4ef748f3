// The GPU backend of the training engine.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "models/engine.h"

struct CUevent_st;  // cudaEvent_t points to one

namespace regatta::cuda {

class BatchFeed;
class DeviceExchange;
struct Libraries;

// What a training step does one after another. The parts end where they say; exchange is what is left of it
// when backward is done.
enum class StepPart { start, input, forward, backward, exchange, update };
inline constexpr std::size_t kStepParts = 6;

struct CudaEngineOptions {
  int device = 0;  // as the CUDA runtime numbers them
  // Who brings the batches; null: they come from the host, in train() and evaluate().
  std::unique_ptr<BatchFeed> training_feed;
  std::unique_ptr<BatchFeed> evaluation_feed;
  DeviceExchange* exchange = nullptr;  // of a crew of several ranks; outlives the engine
  Libraries* libraries = nullptr;      // of this device; outlive the engine. null: it opens its own
  // For measurements and tests. A step that is not recorded is put on the stream anew each time.
  bool records_steps = true;
  // Becomes the number of nodes of a recorded training step, once it is recorded; outlives the engine.
  std::size_t* recorded_nodes = nullptr;
  // Events with timing that outlive the engine, one a StepPart, passed by every training step; empty: none.
  std::span<CUevent_st* const> part_ends;
};

// All of a step is recorded once as a CUDA graph and then replayed; nothing in it waits for the host, nor the
// host for it until finish(). Memory of EngineOptions and TrainStep::exchange are not used: gradients are
// summed by `exchange`. The first failure is the last: then train(), evaluate() and finish() only tell of it,
// since a step that was given up leaves the counters of its kernels, the batches and the step numbers half
// done. An error tells why the network cannot run on this device, and what to lower where its
// memory is too small.
Result<std::unique_ptr<Engine>> make_cuda_engine(const ModelConfig& config, const EngineOptions& options,
                                                 CudaEngineOptions device_options);

}  // namespace regatta::cuda

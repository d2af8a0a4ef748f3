// What a step's kernels read that changes from step to step: numbers of the batch, and of each lane. They
// stand in device memory, so that a step that was captured once as a graph serves all of them.
#pragma once

#include <cstdint>

#include "models/optimizer.h"

namespace regatta::cuda {

struct BatchNumbers {
  std::int64_t count = 0;         // rows in use
  std::int64_t first_sample = 0;  // of this rank's rows within the global batch
  std::int64_t epoch = 0;         // and the step within it, for batches that are made on the device
  std::int64_t step = 0;
  std::int32_t part = 0;   // of the data that the device keeps
  std::int32_t mixed = 0;  // whether other labels and shares count
};

struct LaneNumbers {
  std::int32_t active = 0;  // an idle lane computes along, but nothing of it changes
  LaneUpdate update;
};

// Of one dropout layer in one lane; see models/dropout.h.
struct DropoutNumbers {
  std::uint64_t key = 0;
  std::uint32_t threshold = 0;  // words below it are dropped
  float scale = 1;              // of what is kept
};

// What a step's first kernel needs to take the next slot of numbers; see models/cuda/step_start.h.
struct StepStart {
  const std::uint32_t* slots = nullptr;  // that the host fills; BatchNumbers stand first in each
  std::int64_t slot_words = 0;
  std::int64_t slot_count = 0;
  std::int64_t* position = nullptr;  // how many slots were taken
  unsigned* finished = nullptr;      // of is_last_block
  std::uint32_t* current = nullptr;  // a slot: what the step's later kernels read
};

// Pointers to device memory.
struct StepNumbers {
  const BatchNumbers* batch = nullptr;
  const LaneNumbers* lanes = nullptr;        // [lanes]
  const DropoutNumbers* dropouts = nullptr;  // [dropout layers][lanes]
};

}  // namespace regatta::cuda

// The numbers of the steps to come, on their way to the device.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "models/cuda/runtime.h"
#include "models/cuda/step_numbers.h"

namespace regatta::cuda {

// The host writes each step's numbers into the next of a few slots that the device reads in place, and
// launches the step, whose first kernel takes the next slot (models/cuda/step_start.h). So the host may be
// some steps ahead, nothing is copied by itself, and a recorded step need not know which one it is.
class StepRing {
 public:
  static Result<StepRing> create(int lanes, int dropouts);

  struct Slot {
    BatchNumbers* batch = nullptr;
    std::span<LaneNumbers> lanes;
    std::span<DropoutNumbers> dropouts;  // [dropout layers][lanes]
  };
  // The next step's, to be filled. Waits where the device is all slots behind.
  Result<Slot> next();
  // For the step's first kernel, which brings the next slot to numbers().
  StepStart start() const;
  // After the step that reads it has been put on the stream.
  Status enqueued(cudaStream_t stream);

  StepNumbers numbers() const;  // in device memory

 private:
  static constexpr int kSlots = 16;

  std::size_t slot_bytes() const;

  int lanes_ = 0;
  int dropouts_ = 0;
  std::int64_t written_ = 0;
  SharedHostMemory slots_;
  DeviceMemory current_;   // a slot
  DeviceMemory position_;  // how many the device has taken
  DeviceMemory finished_;
  std::vector<Event> done_;  // one a slot
};

}  // namespace regatta::cuda

// What a program is made of: operations that enqueue one step's forward and backward work.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

#include "base/result.h"
#include "models/cuda/batch.h"
#include "models/cuda/exchange.h"
#include "models/cuda/side_branch.h"
#include "models/cuda/step_numbers.h"
#include "models/cuda/tensor.h"
#include "models/memory_plan.h"

namespace regatta::cuda {

enum class Phase { train, evaluate };

// Where a step's work goes and what it reads. Addresses are the same in every step.
struct Step {
  cudaStream_t stream = nullptr;
  const MemoryPlan* memory = nullptr;
  std::byte* arena = nullptr;
  DeviceBatch batch;
  StepNumbers numbers;
  unsigned* counters = nullptr;        // zeros; see Planner::allocate_counters
  DeviceExchange* exchange = nullptr;  // none: this rank is alone
  SideBranch* side = nullptr;          // where the planner has one

  // What may run beside the step's further work: on the side branch from here on.
  Result<Step> beside() const {
    RETURN_IF_ERROR(side->fork(stream));
    Step step = *this;
    step.stream = side->stream();
    return step;
  }

  template <class T = void>
  T* data(const Tensor& tensor) const {
    return reinterpret_cast<T*>(tensor.buffer ? arena + memory->offset(*tensor.buffer)
                                              : reinterpret_cast<std::byte*>(batch.inputs));
  }
  std::byte* data(const ReluMask& mask) const { return arena + memory->offset(mask.bits); }
};

// The constructor of an operation plans its forward work. Every call serves all lanes, idle ones too; what
// one lane computes is never read by another, and nothing that outlives the step changes in a lane that is
// not active: weights and moments (the update sees to them) and running statistics (their layer does). Calls
// only enqueue: no allocation, no waiting, for they are recorded into a graph. Rows from BatchNumbers::count
// on hold anything finite; their gradients are zero from the loss on.
class Operation {
 public:
  virtual ~Operation() = default;
  // In the reverse order of forward: takes the output's gradient from the planner and leaves the input's
  // there.
  virtual Status plan_backward(class Planner& planner) = 0;
  virtual Status forward(const Step& step) = 0;
  virtual Status backward(const Step& step) = 0;
};

}  // namespace regatta::cuda

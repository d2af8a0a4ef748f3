// One engine and what it takes to train it for a while and tell the time.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cost.h"
#include "data/cuda/resident_feed.h"
#include "events.h"
#include "models/cuda/engine.h"
#include "models/cuda/libraries.h"
#include "works.h"

namespace regatta::cuda {

class StepTimer;

// What the trainers of a process share.
struct Shared {
  ResidentDatasets datasets;
  std::unique_ptr<Libraries> libraries;
};

struct TrainerOptions {
  Work work;
  std::string precision = "fp32";
  int lanes = 1;
  Split data;
  bool records_steps = true;
  bool tells_parts = false;  // seconds_of_parts() may be asked
};

class Trainer {
 public:
  // Has taken `warm_up_steps` steps when it returns.
  static Result<std::unique_ptr<Trainer>> make(Shared& shared, const TrainerOptions& options,
                                               int warm_up_steps);

  // As the device's own events have it, from the first step's beginning to the last one's end.
  Result<double> train(int steps);
  double loss() const;  // mean over all lanes, in the last train()

  // Of each part but start, for every step; as many times.
  Result<std::vector<std::array<double, kStepParts>>> seconds_of_parts(int steps);

  const StepCost& cost() const { return cost_; }
  std::int64_t parameters() const { return config_.network.parameter_count; }
  std::size_t device_bytes() const { return device_bytes_; }  // all that it has taken of the device's memory
  std::size_t nodes() const { return nodes_; }                // of a recorded step; 0: steps are not recorded

 private:
  Trainer() = default;
  Status build(Shared& shared, const TrainerOptions& options);
  Status step();

  ModelConfig config_;
  StepCost cost_;
  std::size_t device_bytes_ = 0;
  std::size_t nodes_ = 0;
  std::int64_t rows_ = 0;
  std::int64_t steps_per_epoch_ = 1;
  std::int64_t steps_ = 0;
  std::vector<MetricSums> sums_;
  std::vector<TimedEvent> part_ends_;
  std::vector<cudaEvent_t> part_end_handles_;
  StepTimer* timer_ = nullptr;  // owned by the engine
  std::unique_ptr<Engine> engine_;
};

}  // namespace regatta::cuda

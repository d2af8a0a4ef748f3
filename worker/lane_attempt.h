// One attempt in its lane: what it begins with, saves and reports. Everything that a resumed attempt needs is
// in the checkpoint or follows from it: data order from the epoch, dropout from seed and step count, the
// schedule from epoch and step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "worker/attempt.h"
#include "worker/patience.h"
#include "worker/workbench.h"

namespace regatta {

// Every rank has one; methods that return Result are called by all ranks together.
class LaneAttempt {
 public:
  // `control`: the leader's. The bench must outlive it.
  LaneAttempt(Workbench& bench, int lane, AttemptOrder order, AttemptControl* control);

  const AttemptOrder& order() const { return order_; }
  int lane() const { return lane_; }
  std::int64_t epoch() const { return epoch_; }  // finished
  std::int64_t step() const { return step_; }    // done of the next epoch
  bool has_begun() const { return has_begun_; }

  // Once the bench is prepared for its point: starts the lane, from the checkpoint if there is one. `sums`:
  // of this rank's samples in the steps done of the epoch; they stay where they are. Nothing: it can train.
  Result<std::optional<AttemptEnd>> begin(MetricSums& sums);
  void take_step() { ++step_; }
  void add_time(Microseconds time) { spent_ += time; }  // on this epoch
  bool is_healthy() const;                              // the training loss so far is finite on this rank
  // After the last step: saves and reports. Nothing: it may go on.
  Result<std::optional<AttemptEnd>> finish_epoch(MetricValues metrics);
  // As the coordinator decided (suspend or end).
  Result<AttemptEnd> leave(const Decision& decision);
  AttemptEnd diverged(std::string_view where) const;

 private:
  std::uint64_t seed() const { return trial_seed(bench_.experiment().seed, order_.trial); }
  Status restore();
  bool restore_sums(const std::vector<std::vector<double>>& rows);
  Result<std::optional<std::string>> save();
  Result<std::vector<std::vector<double>>> gather_sums();
  AttemptEnd stopped_early() const;

  Workbench& bench_;
  const int lane_;
  const AttemptOrder order_;
  AttemptControl* const control_;
  MetricSums* sums_ = nullptr;
  Patience patience_{std::nullopt};
  bool has_begun_ = false;
  std::int64_t epoch_ = 0;
  std::int64_t step_ = 0;
  Microseconds spent_{0};
  std::string newest_checkpoint_;
};

}  // namespace regatta

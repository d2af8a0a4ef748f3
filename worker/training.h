// The training loop: as many attempts at once as the engine has lanes, over the ranks of a crew.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "worker/attempt.h"
#include "worker/lane_attempt.h"
#include "worker/steering.h"
#include "worker/workbench.h"

namespace regatta {

// Lanes at the same step of the same epoch see the same batch, whatever the trial, and take their step
// together. Of others the one that is furthest behind goes first: a lane that begins while the rest are
// epochs ahead catches up with them, and from there on all go together. A trial's batches depend on its own
// epoch alone, so that a trial in a lane is the trial alone.
//
// Every rank has one and calls the same methods with the same orders. What was suspended goes on with the
// same bits, given the same number of ranks. Errors mean that the crew itself is broken.
class Training {
 public:
  explicit Training(Workbench& bench);

  bool is_busy() const;
  bool has_room() const;
  // While there is room. `control`: the leader's, for as long as the attempt lasts. It waits for the others'
  // end where it needs another engine than they do.
  void begin(AttemptOrder order, AttemptControl* control);
  // While busy: goes on until some attempts have ended, or an epoch has, or, where none may go on, for up to
  // a second. They end for the same reason on every rank.
  Result<std::vector<EndedAttempt>> advance();

 private:
  Status begin_waiting();
  Status leave_as_decided();
  std::vector<int> next_group() const;
  bool goes_first(const LaneAttempt& a, const LaneAttempt& b) const;
  Status train_group(std::vector<int> group);
  bool somebody_leaves(const std::vector<int>& group) const;
  Result<bool> take_steps(const std::vector<int>& group);
  Status finish_epoch(std::vector<int> group);
  Status report(const std::vector<int>& group);
  void end(int lane, AttemptEnd end);

  LaneAttempt& attempt(int lane) const { return *attempts_[static_cast<std::size_t>(lane)]; }
  MetricSums& sums(int lane) { return sums_[static_cast<std::size_t>(lane)]; }

  Workbench& bench_;
  Steering steering_;
  std::vector<std::unique_ptr<LaneAttempt>> attempts_;  // one a lane; nullptr: the lane is free
  std::vector<int> epochs_waited_;                      // one a lane: trained by others since its turn
  std::vector<MetricSums> sums_;                        // one a lane: training, this rank
  std::vector<MetricSums> measured_;                    // one a lane: validation
  std::vector<MetricValues> metrics_;                   // one a lane: of the epoch that ends
  std::vector<EndedAttempt> ended_;
};

}  // namespace regatta

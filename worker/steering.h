// How a decision of the coordinator, known to the leader only, reaches every rank at the same step boundary.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "worker/attempt.h"

namespace regatta {

// Every few steps the ranks share the leader's decision in one allreduce of a few numbers. How often follows
// from what the leader measures: so rarely that it costs less than 1 % of the steps, but at least every half
// second. The interval is part of what is shared, so the ranks never disagree on when to share next.
class Steering {
 public:
  // `control` is the leader's; nullptr on the other ranks.
  Steering(Communicator& communicator, AttemptControl* control, const Clock& clock, int until_epoch);

  struct View {
    Decision decision;
    bool healthy = true;  // on every rank
  };
  // All ranks, before the first step after anything else than a step: the next at_step shares.
  void begin_steps() { fresh_ = true; }
  // The first meeting after anything else than a step waits for as long as the leader may need to report
  // (kFileLimit), all others kStepLimit.
  // At a step boundary of the epoch after `epoch` finished ones. Most calls return the last view at once.
  Result<View> at_step(std::int64_t epoch, bool healthy);
  // After the last granted epoch: a decision to go beyond `epoch`, or to leave. The ranks meet every second,
  // so that a death is noticed; the time to wait is limited by the control.
  Result<Decision> wait_beyond(std::int64_t epoch);

 private:
  struct Meeting {
    Microseconds for_news{0};         // the leader waits for a decision
    Microseconds limit = kStepLimit;  // the ranks wait for one another
  };
  Status share(std::int64_t epoch, bool healthy, const Meeting& meeting);
  void plan_interval(Microseconds step, Microseconds cost);

  Communicator& communicator_;
  AttemptControl* control_;
  const Clock& clock_;
  View view_;
  std::int64_t interval_ = 1;       // steps from one sharing to the next
  std::int64_t next_interval_ = 1;  // the leader's proposal, in force once it has been shared
  std::int64_t steps_ = 0;          // since the last sharing
  bool fresh_ = true;               // no steps_ to measure yet
  Microseconds shared_at_{0};
  // Of one sharing. What others cost beyond it are waits for a slower rank, which the steps would have made.
  Microseconds least_cost_ = Microseconds::max();
};

}  // namespace regatta

// How the coordinator's decisions, known to the leader only, reach every rank at the same step boundary.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "worker/attempt.h"

namespace regatta {

// Every few steps the ranks share the leader's decisions on all attempts in one allreduce of a few numbers.
// How often follows from what the leader measures: so rarely that it costs less than 1 % of the steps, but at
// least every half second. The interval is part of what is shared, so the ranks never disagree on when to
// share next.
class Steering {
 public:
  Steering(Communicator& communicator, const Clock& clock, int lanes);

  struct View {
    Decision decision;
    bool healthy = true;  // on every rank
  };
  // All ranks: an attempt begins in a lane, or has left it. `control` is the leader's; nullptr on the other
  // ranks.
  void seat(int lane, AttemptControl* control, int until_epoch);
  void clear(int lane);
  // As it was last shared.
  const View& view(int lane) const { return seats_[static_cast<std::size_t>(lane)].view; }

  // What the next sharing tells of a seated lane: epochs finished, and whether this rank finds it healthy.
  void stand(int lane, std::int64_t epoch, bool healthy);
  // All ranks, before the first step after anything else than a step: the next at_step shares.
  void begin_steps() { fresh_ = true; }
  // At a step boundary: whether the views are new. Most calls return at once.
  Result<bool> at_step();
  // Instead of steps, while no attempt may go on: shares once; the leader waits up to a second for news. So a
  // death is noticed; the time to wait altogether is limited by the controls.
  Status wait();

 private:
  struct Meeting {
    Microseconds for_news{0};         // the leader waits for a decision
    Microseconds limit = kStepLimit;  // the ranks wait for one another; longer where the leader reports first
  };
  struct Seat {
    bool taken = false;
    AttemptControl* control = nullptr;
    View view;
    Decision news;  // on the leader: what is to be shared
    std::int64_t epoch = 0;
    bool healthy = true;  // on this rank
  };
  Status share(const Meeting& meeting);
  Status ask_controls(Microseconds for_news);
  void plan_interval(Microseconds step, Microseconds cost);

  Communicator& communicator_;
  const Clock& clock_;
  std::vector<Seat> seats_;               // one a lane
  std::vector<double> words_;             // of one sharing
  std::int64_t interval_ = 1;             // steps from one sharing to the next
  std::int64_t next_interval_ = 1;        // the leader's proposal, in force once it has been shared
  std::int64_t steps_ = 0;                // since the last sharing
  bool fresh_ = true;                     // no steps_ to measure yet
  Microseconds wait_limit_ = kFileLimit;  // of the next wait(): the leader may still be reporting
  Microseconds shared_at_{0};
  // Of one sharing. What others cost beyond it are waits for a slower rank, which the steps would have made.
  Microseconds least_cost_ = Microseconds::max();
};

}  // namespace regatta

// One try at running one trial, as a crew sees it: what it is asked for, how it reports, and how it ends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "devices/nvml.h"
#include "experiment/space.h"
#include "models/metrics.h"

namespace regatta {

struct AttemptOrder {
  std::int64_t attempt = 0;
  int trial = 0;
  Point point;
  int until_epoch = 0;
  std::string checkpoint;  // to go on from, relative to the study's folder; empty: from the start
};

struct EpochReport {
  int epoch = 0;  // from 1
  MetricValues metrics;
  std::string checkpoint;  // durable; relative to the study's folder
  double seconds = 0;
  std::optional<CardUse> card;  // the leader's
};

// What the coordinator wants of the attempt at this moment.
struct Decision {
  enum class Action {
    go_on,    // until `until_epoch`, and there wait for another decision
    suspend,  // save and end as interrupted
    end,      // end and forget
  };
  Action action = Action::go_on;
  int until_epoch = 0;
};

// The leader's side of an attempt; the other ranks have none and learn of decisions from the leader.
class AttemptControl {
 public:
  virtual ~AttemptControl() = default;
  // Does not wait for the network. An error ends the crew.
  virtual Status report(const EpochReport& report) = 0;
  // The newest decision. Unless it lets an attempt at `epoch` finished epochs do something (train on, suspend
  // or end), waits up to `wait` for news, which may be another attempt's.
  virtual Result<Decision> decide(std::int64_t epoch, Microseconds wait) = 0;
};

// How an attempt ended; the same on every rank of the crew.
struct AttemptEnd {
  enum class How {
    ordered,      // by a decision: nothing more is expected
    complete,     // by itself: early stopping, or the program has finished
    diverged,     // the loss is not finite
    failed,       // another try would fail again
    invalid,      // the point cannot be built
    lost,         // this try failed; another may not
    interrupted,  // suspended
  };
  How how = How::ordered;
  std::string checkpoint;  // relative to the study's folder; empty: no newer one than the last report's
  std::string message;
};

struct EndedAttempt {
  std::int64_t attempt = 0;
  int trial = 0;
  AttemptEnd end;
};

// Relative to the study's folder: "checkpoints/trial-00012".
std::string checkpoint_folder(int trial);
// "checkpoints/trial-00012/attempt-0007-epoch-003", without an ending; with steps done of the next epoch
// "…-epoch-003-step-00120".
std::string checkpoint_name(const AttemptOrder& order, std::int64_t epoch, std::int64_t step);

}  // namespace regatta

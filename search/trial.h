// What the search knows of a trial. Values are always minimised: the coordinator negates maximised
// objectives.
#pragma once

#include <limits>
#include <vector>

#include "experiment/space.h"

namespace regatta {

enum class TrialState {
  waiting,   // has a point (and perhaps a checkpoint) and wants a crew
  running,   // an attempt is under way
  paused,    // reached its granted epoch; the scheduler may go on with it
  complete,  // trained to the end that the scheduler planned
  stopped,   // ended early by the scheduler's decision; its reports count
  failed,    // diverged, or ran out of attempts
  invalid,   // its point cannot be built (shapes that do not fit); never trained
};

// Ended trials never run again, unless a user retries failed ones.
constexpr bool has_ended(TrialState state) { return state >= TrialState::complete; }
const char* to_string(TrialState state);

struct Score {
  int epoch = 0;               // from 1: after this many epochs
  std::vector<double> values;  // one an objective, lower is better; NaN never stands here
};

struct Trial {
  int number = 0;  // from 0, in the order of proposal
  Point point;
  TrialState state = TrialState::waiting;
  std::vector<Score> scores;   // in the order of epochs
  std::vector<double> values;  // one an objective; what the trial counts for; empty before the first report.
                               // One objective: the best value so far. Several: the latest.
};

// No limit on epochs: the program under trial decides when it is done.
inline constexpr int kUnlimitedEpochs = std::numeric_limits<int>::max();

}  // namespace regatta

// Names of the trial states.
#include "search/trial.h"

#include "base/check.h"

namespace regatta {

const char* to_string(TrialState state) {
  switch (state) {
    case TrialState::waiting:
      return "waiting";
    case TrialState::running:
      return "running";
    case TrialState::paused:
      return "paused";
    case TrialState::complete:
      return "complete";
    case TrialState::stopped:
      return "stopped";
    case TrialState::failed:
      return "failed";
    case TrialState::invalid:
      return "invalid";
  }
  check_failed("a known trial state", __FILE__, __LINE__);
}

}  // namespace regatta

// Two passes: how many trials have reached each epoch, then the values at the epoch that was chosen.
#include "search/evidence.h"

#include <algorithm>
#include <functional>
#include <map>

namespace regatta {
namespace {

// Epochs that this trial stands for; a trial that completed on its own stands for all.
int reached(const Trial& trial) {
  if (trial.scores.empty()) {
    return 0;
  }
  return trial.state == TrialState::complete ? kUnlimitedEpochs : trial.scores.back().epoch;
}

bool has_failed(const Trial& trial) {
  return trial.state == TrialState::failed || trial.state == TrialState::invalid;
}

int choose_epoch(std::span<const Trial> history, std::size_t enough) {
  std::map<int, std::size_t, std::greater<>> ends;  // last epoch → trials whose last report was there
  std::size_t completed = 0;
  int last = 0;
  for (const Trial& trial : history) {
    if (trial.scores.empty() || has_failed(trial)) {
      continue;
    }
    last = std::max(last, trial.scores.back().epoch);
    if (trial.state == TrialState::complete) {
      ++completed;
    } else {
      ++ends[trial.scores.back().epoch];
    }
  }
  if (completed >= enough || ends.empty()) {
    return last;
  }
  std::size_t count = completed;
  for (const auto& [epoch, trials] : ends) {
    count += trials;
    if (count >= enough) {
      return epoch;
    }
  }
  return ends.rbegin()->first;
}

// The reports rise in epochs; the first is used where even it is beyond `epoch`.
std::vector<double> values_at(const Trial& trial, int epoch) {
  std::vector<double> values = trial.scores.front().values;
  for (const Score& score : trial.scores) {
    if (score.epoch > epoch) {
      break;
    }
    if (values.size() > 1 || score.values.front() < values.front()) {
      values = score.values;
    }
  }
  return values;
}

}  // namespace

Evidence gather_evidence(std::span<const Trial> history, std::size_t enough) {
  Evidence evidence{.epoch = choose_epoch(history, std::max<std::size_t>(enough, 1))};
  for (const Trial& trial : history) {
    if (has_failed(trial)) {
      evidence.failed.push_back(trial.number);
    } else if (reached(trial) >= evidence.epoch && evidence.epoch > 0) {
      evidence.observed.push_back(trial.number);
      evidence.values.push_back(values_at(trial, evidence.epoch));
    } else if (has_ended(trial.state)) {
      evidence.stopped.push_back(trial.number);
    } else {
      evidence.pending.push_back(trial.number);
    }
  }
  return evidence;
}

}  // namespace regatta

// Two passes: how far trials have trained, then the values at the epoch that was chosen.
#include "search/evidence.h"

#include <algorithm>

namespace regatta {
namespace {

// Epochs that this trial stands for; a trial that completed on its own stands for all.
int reached(const Trial& trial) {
  if (trial.scores.empty()) {
    return 0;
  }
  return trial.state == TrialState::complete ? kUnlimitedEpochs : trial.scores.back().epoch;
}

bool has_failed(TrialState state) { return state == TrialState::failed || state == TrialState::invalid; }

}  // namespace

void EpochCensus::count(TrialState state, int last_epoch, std::ptrdiff_t change) {
  if (last_epoch == 0 || has_failed(state)) {
    return;
  }
  auto& trials = state == TrialState::complete ? completed_ : ends_;
  const auto entry = trials.try_emplace(last_epoch, 0).first;
  entry->second += change;
  if (entry->second == 0) {
    trials.erase(entry);
  }
}

int EpochCensus::choose(std::size_t enough) const {
  const auto wanted = static_cast<std::ptrdiff_t>(enough);
  std::ptrdiff_t reached = 0;
  for (const auto& [epoch, trials] : completed_) {
    reached += trials;
  }
  if (reached >= wanted || ends_.empty()) {
    return std::max(completed_.empty() ? 0 : completed_.begin()->first,
                    ends_.empty() ? 0 : ends_.begin()->first);
  }
  for (const auto& [epoch, trials] : ends_) {
    reached += trials;
    if (reached >= wanted) {
      return epoch;
    }
  }
  return ends_.rbegin()->first;
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

Standing standing_at(const Trial& trial, int epoch) {
  if (has_failed(trial.state)) {
    return Standing::failed;
  }
  if (reached(trial) >= epoch && epoch > 0) {
    return Standing::observed;
  }
  return has_ended(trial.state) ? Standing::stopped : Standing::pending;
}

Evidence gather_evidence(std::span<const Trial> history, std::size_t enough) {
  EpochCensus census;
  for (const Trial& trial : history) {
    census.add(trial.state, trial.scores.empty() ? 0 : trial.scores.back().epoch);
  }
  Evidence evidence{.epoch = census.choose(std::max<std::size_t>(enough, 1))};
  for (const Trial& trial : history) {
    switch (standing_at(trial, evidence.epoch)) {
      case Standing::observed:
        evidence.observed.push_back(trial.number);
        evidence.values.push_back(values_at(trial, evidence.epoch));
        break;
      case Standing::pending:
        evidence.pending.push_back(trial.number);
        break;
      case Standing::stopped:
        evidence.stopped.push_back(trial.number);
        break;
      case Standing::failed:
        evidence.failed.push_back(trial.number);
        break;
    }
  }
  return evidence;
}

bool is_evidence(const Trial& trial) {
  const bool has_value = !trial.values.empty();
  return trial.state == TrialState::failed ||
         ((trial.state == TrialState::complete || trial.state == TrialState::stopped) && has_value);
}

}  // namespace regatta

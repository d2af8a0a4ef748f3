// Branches are numbered as they appear, so that a shorter history has the first of them.
#include "search/samplers/branched_trials.h"

#include <algorithm>

namespace regatta {
namespace {

constexpr double kLeastPromise = 0.05;
constexpr double kHalfPromise = 4;     // spreads of deficit at which half of the promise is gone
constexpr std::size_t kFewValues = 4;  // with fewer a branch promises everything

std::vector<bool> active_in(const Point& point) {
  std::vector<bool> active;
  for (const auto& value : point) {
    active.push_back(value.has_value());
  }
  return active;
}

}  // namespace

double promise(std::span<const double> values, double best) {
  if (values.size() < kFewValues || values.front() <= best) {
    return 1;
  }
  const double deficit = values.front() - best;
  const double spread = values[values.size() / 2] - values.front();
  return std::max(kLeastPromise, kHalfPromise * spread / (kHalfPromise * spread + deficit));
}

void BranchedTrials::update(std::span<const Trial> history) {
  for (std::size_t i = branch_of_.size(); i < history.size(); ++i) {
    const std::vector<double> x = axes_->coordinates(history[i].point);
    coordinates_.insert(coordinates_.end(), x.begin(), x.end());
    branch_of_.push_back(known_.try_emplace(active_in(history[i].point), known_.size()).first->second);
  }
  if (known_.size() <= 1) {
    count_ = known_.size();
    return;
  }
  const auto end = branch_of_.begin() + static_cast<std::ptrdiff_t>(history.size());
  count_ = history.empty() ? 0 : *std::max_element(branch_of_.begin(), end) + 1;
}

bool BranchedTrials::admits(std::size_t branch, const Point& point) const {
  if (count_ <= 1) {
    return true;
  }
  const auto found = known_.find(active_in(point));
  return found != known_.end() && found->second == branch;
}

std::size_t BranchedTrials::choose(std::span<const TrialRanking::Place> judged, std::size_t leaders,
                                   Draws& draws) const {
  if (count_ <= 1 || judged.empty()) {
    return 0;
  }
  std::vector<std::vector<double>> values(count_);
  std::vector<double> led(count_, 0);
  leaders = std::min(leaders, judged.size());
  for (std::size_t i = 0; i < judged.size(); ++i) {
    const std::size_t branch = branch_of(judged[i].number);
    if (judged[i].group == TrialRanking::Group::observed) {
      values[branch].push_back(judged[i].first);
    }
    led[branch] += i < leaders ? 1 / static_cast<double>(leaders) : 0;
  }
  std::vector<double> share(count_);
  double rest = 1;
  for (std::size_t branch = 0; branch < count_; ++branch) {
    share[branch] = promise(values[branch], judged.front().first) / static_cast<double>(count_);
    rest -= share[branch];
  }
  double threshold = draws.uniform();
  for (std::size_t branch = 0; branch < count_; ++branch) {
    threshold -= share[branch] + rest * led[branch];
    if (threshold < 0) {
      return branch;
    }
  }
  return branch_of(judged.front().number);
}

}  // namespace regatta

// Two ordered sets split at the quota; an insertion moves at most one entry across.
#include "search/schedulers/ranked_rung.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/check.h"

namespace regatta {

std::vector<int> ranked_trials(const std::map<int, Objectives>& values) {
  std::vector<int> trials;
  if (!values.empty() && values.begin()->second.size() == 1) {
    std::vector<Ranked> ranking;
    for (const auto& [trial, value] : values) {
      ranking.push_back({value.front(), trial});
    }
    std::sort(ranking.begin(), ranking.end());
    for (const Ranked& each : ranking) {
      trials.push_back(each.trial);
    }
    return trials;
  }
  std::vector<Objectives> vectors;
  std::vector<int> numbers;
  for (const auto& [trial, vector] : values) {
    vectors.push_back(vector);
    numbers.push_back(trial);
  }
  for (const std::size_t index : pareto_order(vectors)) {
    trials.push_back(numbers[index]);
  }
  return trials;
}

void RankedRung::record(int trial, const Objectives& values) {
  CHECK(std::none_of(values.begin(), values.end(), [](double value) { return std::isnan(value); }),
        "a score without a value has no rank");
  if (values.size() > 1) {
    vectors_[trial] = values;
    rank_again();
    return;
  }
  places_[trial] = values.empty() ? std::numeric_limits<double>::infinity() : values.front();
  insert(entry_of(trial));
}

std::size_t RankedRung::quota() const {
  const int share = size() / options_.eta;
  return static_cast<std::size_t>(options_.leader && size() > 1 ? std::max(share, 1) : share);
}

void RankedRung::insert(const Ranked& entry) {
  (is_in_top(entry) ? top_ : rest_).insert(entry);
  while (top_.size() > quota()) {
    rest_.insert(top_.extract(std::prev(top_.end())));
  }
  while (top_.size() < quota()) {
    top_.insert(rest_.extract(rest_.begin()));
  }
}

// Ranks are whole numbers from 0; those that failed keep their infinite place.
void RankedRung::rank_again() {
  const auto candidates = std::exchange(candidates_, {});
  top_.clear();
  rest_.clear();
  double rank = 0;
  for (const int trial : ranked_trials(vectors_)) {
    places_[trial] = rank++;
  }
  for (const auto& [trial, place] : places_) {
    insert({place, trial});
  }
  for (const Ranked& candidate : candidates) {
    add_candidate(candidate.trial);
  }
}

std::optional<int> RankedRung::promotable() const {
  if (candidates_.empty() || !is_in_top(*candidates_.begin())) {
    return std::nullopt;
  }
  return candidates_.begin()->trial;
}

}  // namespace regatta

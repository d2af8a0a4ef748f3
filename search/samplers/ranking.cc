// A sorted vector: moving 10,000 small entries to insert one costs less than anything cleverer.
#include "search/samplers/ranking.h"

#include <algorithm>

#include "base/check.h"
#include "search/pareto.h"

namespace regatta {

TrialRanking::Digest TrialRanking::digest_of(const Trial& trial) {
  Digest digest{.state = trial.state, .scores = trial.scores.size()};
  if (!trial.scores.empty()) {
    digest.last_epoch = trial.scores.back().epoch;
    digest.last_value = trial.scores.back().values.front();
  }
  return digest;
}

TrialRanking::Place TrialRanking::place_of(const Trial& trial) const {
  Place place{.number = trial.number};
  switch (standing_at(trial, epoch_)) {
    case Standing::observed:
      place.group = Group::observed;
      place.first = values_at(trial, epoch_).front();
      return place;
    case Standing::failed:
      place.group = Group::failed;
      return place;
    case Standing::pending:
      if (trial.state != TrialState::paused) {
        return place;
      }
      [[fallthrough]];
    case Standing::stopped:
      place.group = Group::short_of;
      place.second = std::numeric_limits<double>::infinity();
      if (!trial.scores.empty()) {
        place.first = -static_cast<double>(trial.scores.back().epoch);
        place.second = values_at(trial, epoch_).front();
      }
      return place;
  }
  check_failed("a known standing", __FILE__, __LINE__);
}

void TrialRanking::count(const Place& place, int change) {
  observed_ += place.group == Group::observed ? static_cast<std::size_t>(change) : 0;
  open_ += place.group == Group::open ? static_cast<std::size_t>(change) : 0;
}

void TrialRanking::rebuild(std::span<const Trial> history) {
  places_.clear();
  observed_ = open_ = 0;
  for (const Trial& trial : history) {
    places_.push_back(place_of(trial));
    count(places_.back(), 1);
  }
  if (objectives_ > 1) {
    std::vector<Objectives> values;
    std::vector<Place*> observed;
    for (Place& place : places_) {
      if (place.group == Group::observed) {
        values.push_back(values_at(history[static_cast<std::size_t>(place.number)], epoch_));
        observed.push_back(&place);
      }
    }
    double rank = 0;
    for (const std::size_t i : pareto_order(values)) {
      observed[i]->first = rank++;
    }
  }
  place_of_ = places_;
  std::sort(places_.begin(), places_.end());
}

void TrialRanking::update(std::span<const Trial> history, std::size_t enough) {
  if (history.size() < digests_.size()) {
    *this = TrialRanking(objectives_);
  }
  std::vector<std::size_t> changed;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const Digest digest = digest_of(history[i]);
    if (i < digests_.size()) {
      if (digest == digests_[i]) {
        continue;
      }
      census_.remove(digests_[i].state, digests_[i].last_epoch);
      digests_[i] = digest;
    } else {
      digests_.push_back(digest);
    }
    census_.add(digest.state, digest.last_epoch);
    changed.push_back(i);
  }
  if (changed.empty()) {
    return;
  }
  constexpr std::size_t kFew = 64;
  const int epoch = census_.choose(std::max<std::size_t>(enough, 1));
  if (objectives_ > 1 || epoch != epoch_ || changed.size() > kFew) {
    epoch_ = epoch;
    rebuild(history);
    return;
  }
  for (const std::size_t i : changed) {
    const Place place = place_of(history[i]);
    if (i < place_of_.size()) {
      places_.erase(std::lower_bound(places_.begin(), places_.end(), place_of_[i]));
      count(place_of_[i], -1);
      place_of_[i] = place;
    } else {
      place_of_.push_back(place);
    }
    places_.insert(std::lower_bound(places_.begin(), places_.end(), place), place);
    count(place, 1);
  }
}

}  // namespace regatta

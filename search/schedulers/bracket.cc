// All trials of a bracket that are not out stand in the same rung, so the bracket keeps only that rung.
#include "search/schedulers/bracket.h"

#include <algorithm>
#include <cstdint>

#include "base/check.h"

namespace regatta {

Bracket::Bracket(std::vector<RungPlan> rungs) : rungs_(std::move(rungs)) { CHECK(!rungs_.empty()); }

bool Bracket::has_vacancy() const {
  return !closed_ && rung_ == 0 && contenders_.size() < static_cast<std::size_t>(rungs_[0].trials);
}

std::optional<int> Bracket::resumable() const {
  return promoted_.empty() ? std::nullopt : std::optional(promoted_.begin()->trial);
}

Bracket::Place Bracket::place(int trial) const {
  const auto found = contenders_.find(trial);
  return found == contenders_.end() ? Place::out : found->second.place;
}

void Bracket::start(int trial) {
  CHECK(has_vacancy());
  Contender& contender = contenders_[trial];
  CHECK(contender.place == Place::out || contender.failed, "only a failed trial starts again");
  contender = {.place = Place::running};
  ++unscored_;
}

void Bracket::resume(int trial) {
  CHECK(place(trial) == Place::promoted);
  set_place(trial, contenders_.at(trial), Place::running);
}

std::vector<int> Bracket::score(int trial, int epoch, const Objectives& values, bool finished) {
  Contender& contender = contenders_.at(trial);
  CHECK(contender.place == Place::running && (epoch >= budget() || finished));
  contender.epoch = epoch;
  contender.values = values;
  contender.finished = finished;
  set_place(trial, contender, Place::scored);
  return settle();
}

std::vector<int> Bracket::fail(int trial) {
  const auto found = contenders_.find(trial);
  if (found == contenders_.end()) {
    return {};
  }
  set_place(trial, found->second, Place::scored);
  found->second.failed = true;
  return settle();
}

std::vector<int> Bracket::remove(int trial) {
  const auto found = contenders_.find(trial);
  if (found == contenders_.end()) {
    return {};
  }
  set_place(trial, found->second, Place::out);
  contenders_.erase(found);
  return settle();
}

std::vector<int> Bracket::close() {
  closed_ = true;
  return settle();
}

bool Bracket::done() const {
  return unscored_ == 0 && !has_vacancy() && (contenders_.empty() || rung_ + 1 == rungs_.size());
}

// Keeps the count of unscored contenders and the queue of promoted ones in step with the places.
void Bracket::set_place(int trial, Contender& contender, Place place) {
  const auto unscored = [](Place at) { return at == Place::running || at == Place::promoted; };
  unscored_ += static_cast<int>(unscored(place)) - static_cast<int>(unscored(contender.place));
  if (contender.place == Place::promoted) {
    promoted_.erase({contender.rank, trial});
  }
  if (place == Place::promoted) {
    promoted_.insert({contender.rank, trial});
  }
  contender.place = place;
}

// Judges the rung under way once every contender has a score and no more will come. Those promoted may have
// scored in the next rung already, because one report can cross several rungs and a finished trial has its
// last value everywhere; so the next rung may be ripe too.
std::vector<int> Bracket::settle() {
  std::vector<int> losers;
  while (unscored_ == 0 && !has_vacancy() && !contenders_.empty() && rung_ + 1 < rungs_.size()) {
    const std::vector<int> lost = judge();
    losers.insert(losers.end(), lost.begin(), lost.end());
  }
  std::sort(losers.begin(), losers.end());
  return losers;
}

// Of a rung planned for n_i trials that a have reached, ⌊a · n_{i+1} / n_i⌋ are promoted, but at least one:
// the full rung promotes n_{i+1}, a truncated one its share. Failed trials count in a and are never promoted.
std::vector<int> Bracket::judge() {
  std::map<int, Objectives> values;
  for (const auto& [trial, contender] : contenders_) {
    if (!contender.failed) {
      values[trial] = contender.values;
    }
  }
  const std::vector<int> ranking = ranked_trials(values);
  const auto reached = static_cast<std::int64_t>(contenders_.size());
  const std::int64_t share = reached * rungs_[rung_ + 1].trials / rungs_[rung_].trials;
  const auto promotions =
      std::min(ranking.size(), static_cast<std::size_t>(std::max<std::int64_t>(share, 1)));

  ++rung_;
  std::vector<int> losers;
  std::map<int, Contender> promoted;
  for (std::size_t rank = 0; rank < ranking.size(); ++rank) {
    const int trial = ranking[rank];
    Contender& contender = contenders_.at(trial);
    contender.rank = static_cast<double>(rank);
    if (rank >= promotions) {
      if (!contender.finished) {
        losers.push_back(trial);
      }
      continue;
    }
    if (!contender.finished && contender.epoch < budget()) {
      set_place(trial, contender, Place::promoted);
    }
    promoted.emplace(trial, contender);
  }
  contenders_ = std::move(promoted);
  return losers;
}

}  // namespace regatta

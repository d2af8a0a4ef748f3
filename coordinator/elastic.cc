// Crews of many slots are taken to be slower than their slots together by a fixed share; all else is
// measured.
#include "coordinator/elastic.h"

#include <algorithm>
#include <numeric>

#include "base/seconds.h"

namespace regatta {
namespace {

constexpr double kLeastEfficiency = 0.05;  // keeps speeds above zero

int sum_of(const std::vector<std::size_t>& crews, const std::vector<int>& slots) {
  return std::accumulate(crews.begin(), crews.end(), 0,
                         [&](int sum, std::size_t crew) { return sum + slots[crew]; });
}

}  // namespace

double speed_of(int slots, double efficiency) { return slots > 1 ? slots * efficiency : 1; }

void EpochTimes::began(AttemptId attempt, int trial, int slots, bool whole, Microseconds now) {
  running_[attempt] = {.trial = trial, .slots = slots, .whole = whole, .mark = now};
}

void EpochTimes::reported(AttemptId attempt, double spent, Microseconds now) {
  const auto found = running_.find(attempt);
  if (found == running_.end()) {
    return;
  }
  Running& running = found->second;
  if (running.whole && spent > 0) {
    const Epoch epoch{.slots = running.slots, .seconds = spent};
    const auto [known, is_first] = epochs_.try_emplace(running.trial, epoch);
    if (!is_first && known->second.slots == 1 && epoch.slots > 1) {
      efficiency_ = std::clamp(known->second.seconds / (spent * epoch.slots), kLeastEfficiency, 1.0);
    }
    known->second = epoch;
    last_ = epoch;
  }
  running.whole = true;
  running.mark = now;
}

std::optional<double> EpochTimes::epoch_seconds(AttemptId attempt) const {
  const auto found = running_.find(attempt);
  if (found == running_.end() || !last_) {
    return std::nullopt;
  }
  const Running& running = found->second;
  const auto known = epochs_.find(running.trial);
  const Epoch& measured = known == epochs_.end() ? *last_ : known->second;
  return measured.seconds * speed_of(measured.slots, efficiency_) / speed_of(running.slots, efficiency_);
}

std::optional<double> EpochTimes::seconds_left(AttemptId attempt, double epochs, Microseconds now) const {
  const auto epoch = epoch_seconds(attempt);
  if (!epoch) {
    return std::nullopt;
  }
  const Running& running = running_.at(attempt);
  return std::max(0.0, epochs * *epoch - std::min(in_seconds(now - running.mark), *epoch));
}

bool pays(const Contender& contender, int slots, const ElasticTerms& terms) {
  const double ratio = speed_of(contender.slots, terms.efficiency) / speed_of(slots, terms.efficiency);
  const double saved = (contender.seconds_left - terms.start_seconds) * (1 - ratio);
  return saved > terms.margin * terms.handover_seconds;
}

std::vector<std::vector<std::size_t>> share_out(const std::vector<int>& idle,
                                                const std::vector<Contender>& contenders,
                                                const ElasticTerms& terms) {
  std::vector<std::vector<std::size_t>> joining(contenders.size());
  std::vector<std::size_t> in_play(contenders.size());
  std::iota(in_play.begin(), in_play.end(), std::size_t{0});
  std::ranges::stable_sort(in_play, [&](std::size_t a, std::size_t b) {
    return contenders[a].seconds_left > contenders[b].seconds_left;
  });
  std::vector<std::size_t> largest_first(idle.size());
  std::iota(largest_first.begin(), largest_first.end(), std::size_t{0});
  std::ranges::stable_sort(largest_first, [&](std::size_t a, std::size_t b) { return idle[a] > idle[b]; });

  // Whoever gains too little leaves, the one with the least to do first, and the rest is dealt anew.
  while (!in_play.empty()) {
    const auto slots_of = [&](std::size_t index) {
      return contenders[index].slots + sum_of(joining[index], idle);
    };
    for (const std::size_t crew : largest_first) {
      const std::size_t poorest = *std::ranges::min_element(in_play, {}, slots_of);
      joining[poorest].push_back(crew);
    }
    const auto gains = [&](std::size_t index) {
      auto& crews = joining[index];
      const bool was_dealt_any = !crews.empty();
      while (!crews.empty() && !contenders[index].can_have(slots_of(index))) {
        crews.pop_back();
      }
      return !was_dealt_any || (!crews.empty() && pays(contenders[index], slots_of(index), terms));
    };
    const auto last = std::ranges::find_if_not(in_play.rbegin(), in_play.rend(), gains);
    if (last == in_play.rend()) {
      return joining;
    }
    in_play.erase(std::next(last).base());
    std::ranges::for_each(joining, [](auto& crews) { crews.clear(); });
  }
  return joining;
}

}  // namespace regatta

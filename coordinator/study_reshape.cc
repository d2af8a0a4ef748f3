// What is worth beginning: a larger crew where slots are idle, smaller ones where a trial waits. And what is
// known of the costs of either.
#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/seconds.h"
#include "coordinator/slots.h"
#include "coordinator/study_implementation.h"

namespace regatta {
namespace {

// Crews that change at one time: bounds what a decision costs, and how many start at once.
constexpr std::size_t kMostAtOnce = 16;
constexpr double kWorstCost = 3600;  // seconds; failures double it no further

}  // namespace

void Study::Implementation::reshape() {
  if (crews.next_idle() != nullptr) {
    consider_growth();
  } else if (crews.any_of_several_slots()) {
    consider_split();
  }
}

void Study::Implementation::consider_growth() {
  std::vector<Crew*> idle = crews.idle();
  std::erase_if(idle, [this](const Crew* crew) {
    return crew->slots.empty() || crew->lanes > 1 || is_reshaped(*crew) || shares_slots(*crew);
  });
  if (idle.empty() || growths.size() >= kMostAtOnce) {
    return;
  }
  idle.resize(std::min(idle.size(), kMostAtOnce));
  std::vector<Crew*> training;
  for (const auto& [id, attempt] : state.attempts()) {
    Crew* const crew = crews.find(attempt.crew);
    const bool may_grow = crew != nullptr && !crew->slots.empty() && crew->lanes == 1 && !crew->silent &&
                          !crew->leaving && !is_reshaped(*crew) && !shares_slots(*crew) &&
                          crew->attempts.contains(id);
    if (may_grow) {
      training.push_back(crew);
    }
    if (training.size() >= kMostAtOnce) {
      break;
    }
  }
  std::vector<Contender> contenders;
  std::vector<const Crew*> of;
  for (const Crew* crew : training) {
    const AttemptId id = *crew->attempts.begin();
    const int trial = state.attempt(id)->trial;
    const double epochs = epochs_granted(trial) + epochs_to_come(trial, training.size());
    if (const auto left = epoch_times.seconds_left(id, epochs, now)) {
      const Point& point = state.trials()[static_cast<std::size_t>(trial)].point;
      of.push_back(crew);
      contenders.push_back({.slots = static_cast<int>(crew->slots.size()),
                            .seconds_left = *left,
                            .can_have = [this, &point](int slots) {
                              return !options.elastic->fits || options.elastic->fits(point, slots);
                            }});
    }
  }
  std::vector<int> slots;
  std::ranges::transform(idle, std::back_inserter(slots),
                         [](const Crew* crew) { return static_cast<int>(crew->slots.size()); });
  const auto shares = share_out(slots, contenders, elastic_terms());
  for (std::size_t i = 0; i < of.size(); ++i) {
    if (!shares[i].empty()) {
      std::vector<Crew*> joining;
      std::ranges::transform(shares[i], std::back_inserter(joining),
                             [&](std::size_t index) { return idle[index]; });
      grow(*of[i], joining);
    }
  }
}

void Study::Implementation::grow(const Crew& from, const std::vector<Crew*>& joining) {
  Growth growth{.from = from.name, .slots = from.slots, .ordered = now};
  for (Crew* crew : joining) {
    growth.slots.insert(growth.slots.end(), crew->slots.begin(), crew->slots.end());
    retire(*crew);
  }
  std::ranges::sort(growth.slots);
  CHECK(std::ranges::adjacent_find(growth.slots) == growth.slots.end(), "a slot joins a crew once");
  command(ReshapeCrews{.crews = {growth.slots}});
  growths.push_back(std::move(growth));
}

// A trial that could run waits for a crew, and for longer than a split takes: the largest crew makes room.
void Study::Implementation::consider_split() {
  if (!splits.empty() || !growths.empty() || !work_waits()) {
    return;
  }
  double wait = std::numeric_limits<double>::infinity();
  const Crew* largest = nullptr;
  double most_left = 0;
  for (const auto& [id, attempt] : state.attempts()) {
    const Crew* const crew = crews.find(attempt.crew);
    const auto left = epoch_times.seconds_left(id, epochs_granted(attempt.trial), now);
    if (crew == nullptr || crew->silent || !left) {
      continue;
    }
    wait = std::min(wait, *left);
    const bool is_larger = largest == nullptr ||
                           std::pair(crew->slots.size(), *left) > std::pair(largest->slots.size(), most_left);
    if (crew->slots.size() > 1 && !crew->leaving && is_larger) {
      largest = crew;
      most_left = *left;
    }
  }
  const double cost = takeover_seconds + handover_seconds;
  if (largest == nullptr || wait <= options.elastic->margin * cost) {
    return;
  }
  command(ReshapeCrews{.crews = one_each(largest->slots)});
  splits.push_back({.from = largest->name, .slots = largest->slots, .joined = {}, .ordered = now});
}

// Not what would be over sooner: the next trial begins on the larger crew.
bool Study::Implementation::is_worth_suspending(const Crew& crew, std::size_t slots) const {
  const AttemptId id = *crew.attempts.begin();
  const auto left = epoch_times.seconds_left(id, epochs_granted(state.attempt(id)->trial), now);
  ElasticTerms now_ready = elastic_terms();
  now_ready.start_seconds = 0;
  now_ready.margin = 1;
  const Contender contender{
      .slots = static_cast<int>(crew.slots.size()), .seconds_left = left.value_or(0), .can_have = {}};
  return !left || pays(contender, static_cast<int>(slots), now_ready);
}

bool Study::Implementation::is_reshaped(const Crew& crew) const {
  const auto takes_part = [&](const auto& change) { return overlap(change.slots, crew.slots); };
  return std::ranges::any_of(growths, takes_part) || std::ranges::any_of(splits, takes_part);
}

bool Study::Implementation::shares_slots(const Crew& crew) const {
  return crews.holders(crew.slots).size() > 1;
}

bool Study::Implementation::is_held(int trial) const {
  return std::ranges::any_of(growths, [&](const Growth& growth) { return growth.trial == trial; });
}

bool Study::Implementation::any_held() const {
  return std::ranges::any_of(
      growths, [&](const Growth& growth) { return growth.trial && state.waiting().contains(*growth.trial); });
}

bool Study::Implementation::work_waits() const {
  if (std::ranges::any_of(state.waiting(), [this](int trial) { return !is_held(trial); })) {
    return true;
  }
  const Assignment next = state.scheduler().next();
  return std::holds_alternative<ResumeTrial>(next) ||
         (std::holds_alternative<StartTrial>(next) && (!state.unstarted().empty() || !limit_reached()));
}

double Study::Implementation::epochs_granted(int trial) const {
  const auto& scores = state.trials()[static_cast<std::size_t>(trial)].scores;
  const int done = scores.empty() ? 0 : scores.back().epoch;
  return std::max(0, state.records()[static_cast<std::size_t>(trial)].until_epoch - done);
}

// What the crew will have to do after the trial's grant, where no new trial will be started: the rungs above
// it in its bracket, as long as each crew that trains has one of their trials.
double Study::Implementation::epochs_to_come(int trial, std::size_t running) const {
  if (!state.unstarted().empty() || !(state.closed() || limit_reached())) {
    return 0;
  }
  const TrialRecord& record = state.records()[static_cast<std::size_t>(trial)];
  const std::vector<RungPlan> rungs = state.scheduler().plan();
  const int brackets = rungs.empty() ? 1 : rungs.back().bracket + 1;
  int epochs = record.until_epoch;
  for (const RungPlan& rung : rungs) {
    const bool is_above = rung.bracket == record.bracket % brackets && rung.epochs > epochs;
    if (is_above && rung.trials >= 1 && static_cast<std::size_t>(rung.trials) <= running) {
      epochs = rung.epochs;
    }
  }
  return epochs - record.until_epoch;
}

ElasticTerms Study::Implementation::elastic_terms() const {
  return {.start_seconds = takeover_seconds,
          .handover_seconds = handover_seconds,
          .efficiency = epoch_times.efficiency(),
          .margin = options.elastic->margin};
}

void Study::Implementation::measure_takeover(const ReportReceived& report) {
  if (const auto found = takeovers.find(report.attempt); found != takeovers.end()) {
    handover_seconds = std::max(0.0, in_seconds(now - found->second) - report.seconds);
    takeovers.erase(found);
  }
}

// What fails is tried less and less often.
void Study::Implementation::count_failed_takeover() {
  takeover_seconds = std::min(2 * takeover_seconds, kWorstCost);
  handover_seconds = std::min(2 * handover_seconds, kWorstCost);
}

}  // namespace regatta

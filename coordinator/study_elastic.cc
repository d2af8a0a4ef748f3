// Where trials are fewer than crews, idle crews' slots go to crews that train, and come back when work waits.
// A new crew is started beside the old ones and takes over once it has its data: until then nothing has
// changed, and whatever dies on the way, the slots become ordinary crews again.
#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/seconds.h"
#include "coordinator/study_implementation.h"

namespace regatta {
namespace {

constexpr Microseconds kJoinLimit = std::chrono::minutes(1);   // then a crew that was ordered will not come
constexpr Microseconds kExitLimit = std::chrono::seconds(30);  // then nobody waits for its processes to end
// Crews that change at one time: bounds what a decision costs, and how many start at once.
constexpr std::size_t kMostAtOnce = 16;
constexpr double kWorstCost = 3600;  // seconds; failures double it no further

bool is_idle(const Crew& crew) { return crew.attempts.empty() && !crew.evaluating; }

bool overlap(const std::vector<int>& a, const std::vector<int>& b) {
  return std::ranges::any_of(a, [&](int slot) { return std::ranges::find(b, slot) != b.end(); });
}

std::vector<std::vector<int>> one_each(const std::vector<int>& slots) {
  std::vector<std::vector<int>> crews;
  std::ranges::transform(slots, std::back_inserter(crews), [](int slot) { return std::vector{slot}; });
  return crews;
}

}  // namespace

void Study::Implementation::take_place(Crew& crew) {
  for (Growth& growth : growths) {
    if (growth.from == crew.name) {
      growth.trial.reset();  // it may not have heard that it is to suspend it
      return;
    }
    if (growth.slots == crew.slots && (growth.to.empty() || growth.to == crew.name)) {
      growth.to = crew.name;
      crews.change(crew, [](Crew& changed) { changed.reserved = true; });
      return;
    }
  }
  for (Split& split : splits) {
    if (split.from == crew.name) {
      split.suspended = false;
      return;
    }
    if (!crew.slots.empty() && std::ranges::includes(split.slots, crew.slots)) {
      split.joined.insert(crew.slots.begin(), crew.slots.end());
      const bool reserved = waits_for_exit();
      crews.change(crew, [&](Crew& changed) { changed.reserved = reserved; });
      return;
    }
  }
  // Ordinary crews are back: the larger one has died before it joined.
  std::erase_if(growths, [&](const Growth& growth) {
    const bool is_over = overlap(growth.slots, crew.slots);
    if (is_over) {
      abandon(growth);
    }
    return is_over;
  });
  const std::string name = crew.name;
  const std::vector<int> slots = crew.slots;
  for (Crew* other : crews.holders(slots)) {
    Crew* const newcomer = crews.find(name);
    if (newcomer == nullptr) {
      break;
    }
    if (other != newcomer && other->slots != slots) {
      settle_conflict(*newcomer, *other);
    }
  }
}

// Two crews have the same slot, and nothing is known of why: a coordinator has died while crews were
// reshaped, or one was given up before it came. Either may be retired.
void Study::Implementation::settle_conflict(Crew& newcomer, Crew& other) {
  if (is_idle(newcomer)) {
    retire(newcomer);
  } else if (is_idle(other)) {
    retire(other);
  } else {
    Crew& larger = other.slots.size() > newcomer.slots.size() ? other : newcomer;
    if (std::ranges::find(splits, larger.name, &Split::from) == splits.end()) {
      splits.push_back({.from = larger.name,
                        .slots = larger.slots,
                        .joined = {larger.slots.begin(), larger.slots.end()},
                        .ordered = now});
    }
  }
}

void Study::Implementation::crew_has_data(const std::string& crew) {
  for (Growth& growth : growths) {
    if (growth.to == crew && !growth.ready) {
      growth.ready = true;
      takeover_seconds = in_seconds(now - growth.ordered);
    }
  }
}

void Study::Implementation::leave_place(const std::string& crew) {
  retired.erase(crew);
  std::erase_if(growths, [&](const Growth& growth) {
    const bool is_over = growth.to == crew;
    if (is_over) {
      abandon(growth);
    }
    return is_over;
  });
}

void Study::Implementation::take_over() {
  for (Growth& growth : std::exchange(growths, {})) {
    if (!advance(growth)) {
      growths.push_back(std::move(growth));
    }
  }
  std::erase_if(splits, [this](Split& split) { return advance(split); });
}

bool Study::Implementation::advance(Growth& growth) {
  Crew* const to = growth.to.empty() ? nullptr : crews.find(growth.to);
  if (!growth.ready && now - growth.ordered > kJoinLimit) {
    abandon(growth);
    return true;
  }
  if (to == nullptr) {
    return false;
  }
  if (to->silent) {
    abandon(growth);
    return true;
  }
  Crew* const from = crews.find(growth.from);
  if (from == nullptr) {
    if (must_wait_for(growth.from)) {
      return false;
    }
    hand_over(*to, growth);
    return true;
  }
  if (from->evaluating || (!growth.ready && !from->silent)) {
    return false;
  }
  if (from->attempts.empty()) {
    retire(*from);
    if (must_wait_for(growth.from)) {
      return false;
    }
    hand_over(*to, growth);
    return true;
  }
  if (!growth.trial && is_worth_suspending(*from, growth.slots.size())) {
    growth.trial = state.attempt(*from->attempts.begin())->trial;
    growth.suspended = now;
    suspend(*from);
  }
  return false;
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

bool Study::Implementation::waits_for_exit() const {
  return options.elastic->waits_for_exit && options.elastic->waits_for_exit();
}

bool Study::Implementation::must_wait_for(const std::string& crew) const {
  const auto found = retired.find(crew);
  return found != retired.end() && waits_for_exit() && now - found->second <= kExitLimit;
}

bool Study::Implementation::advance(Split& split) {
  Crew* const from = crews.find(split.from);
  if (from == nullptr || is_idle(*from)) {
    if (from != nullptr) {
      retire(*from);
    }
    if (must_wait_for(split.from)) {
      return false;
    }
    release(split);
    return true;
  }
  if (split.joined.size() == split.slots.size()) {
    if (!std::exchange(split.suspended, true)) {
      suspend(*from);
    }
    return false;
  }
  if (now - split.ordered > kJoinLimit) {
    for (Crew* crew : crews.holders(split.slots)) {
      if (is_idle(*crew)) {
        retire(*crew);
      }
    }
    release(split);
    command(ReshapeCrews{.crews = {split.slots}});
    count_failed_takeover();
    return true;
  }
  return false;
}

void Study::Implementation::release(const Split& split) {
  for (Crew* crew : crews.holders(split.slots)) {
    crews.change(*crew, [](Crew& changed) { changed.reserved = false; });
  }
  nothing_for_now = false;
}

void Study::Implementation::hand_over(Crew& to, const Growth& growth) {
  crews.change(to, [](Crew& changed) { changed.reserved = false; });
  nothing_for_now = false;
  if (growth.trial && !ending && state.waiting().contains(*growth.trial)) {
    const int until_epoch = state.records()[static_cast<std::size_t>(*growth.trial)].until_epoch;
    takeovers[state.next_attempt()] = growth.suspended;
    start_attempt(to, *growth.trial, until_epoch);
  }
}

// The slots become crews of their own, but for those of the crew that was to be relieved.
void Study::Implementation::abandon(const Growth& growth) {
  nothing_for_now = false;  // its trial is held no longer
  count_failed_takeover();
  if (Crew* const to = growth.to.empty() ? nullptr : crews.find(growth.to)) {
    retire(*to);
  }
  std::vector<int> rest = growth.slots;
  ReshapeCrews reshape;
  if (const Crew* from = crews.find(growth.from)) {
    std::erase_if(rest, [&](int slot) { return overlap(from->slots, {slot}); });
    reshape.crews.push_back(from->slots);
  }
  std::ranges::move(one_each(rest), std::back_inserter(reshape.crews));
  command(std::move(reshape));
}

void Study::Implementation::suspend(Crew& crew) {
  for (const AttemptId attempt : crew.attempts) {
    command(SuspendAttempt{.crew = crew.name, .attempt = attempt});
  }
  crews.change(crew, [](Crew& changed) { changed.leaving = true; });
}

void Study::Implementation::retire(Crew& crew) {
  const std::string name = crew.name;
  retired[name] = now;
  command(DismissCrew{.crew = name});
  crews.remove(name);
  nothing_for_now = false;
}

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

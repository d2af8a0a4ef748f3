// Where trials are fewer than crews, idle crews' slots go to crews that train, and come back when work waits;
// study_reshape.cc decides when. A new crew is started beside the old ones and takes over once it has its
// data: until then nothing has changed, and whatever dies on the way, the slots become ordinary crews again.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/seconds.h"
#include "base/text.h"
#include "coordinator/slots.h"
#include "coordinator/study_implementation.h"

namespace regatta {
namespace {

constexpr Microseconds kJoinLimit = std::chrono::minutes(1);     // then a crew that was ordered will not come
constexpr Microseconds kExitLimit = std::chrono::seconds(30);    // then nobody waits for its processes to end
// Then a crew that is to suspend hangs; after so many of its epochs where these are longer, for it looks at
// orders between training steps only: not while it validates and writes its checkpoint.
constexpr Microseconds kSuspendLimit = std::chrono::minutes(2);
constexpr double kSuspendEpochs = 2;

bool is_idle(const Crew& crew) { return crew.attempts.empty() && !crew.evaluating; }

}  // namespace

void Study::Implementation::take_place(Crew& crew) {
  suspending.erase(crew.name);  // it may not have heard of it, and is told again where that is still wanted
  for (Growth& growth : growths) {
    if (growth.from == crew.name) {
      growth.trial.reset();
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
    if (crew.slots.empty() || !std::ranges::includes(split.slots, crew.slots)) {
      continue;
    }
    if (split.undone) {
      rejoin(split, crew);
      return;
    }
    split.joined.insert(crew.slots.begin(), crew.slots.end());
    const bool reserved = waits_for_exit();
    crews.change(crew, [&](Crew& changed) { changed.reserved = reserved; });
    return;
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
  Crew* const newcomer = crews.find(name);
  if (newcomer != nullptr && is_idle(*newcomer) && must_wait_for(slots)) {
    crews.change(*newcomer, [](Crew& changed) { changed.reserved = true; });
    held_back.insert(name);
  }
}

// A small crew of a split that was undone: one that is to leave, or one that comes too late.
void Study::Implementation::rejoin(const Split& split, Crew& crew) {
  if (split.fenced.contains(crew.name)) {
    suspend(crew);
  } else if (crews.find(split.from) != nullptr) {
    retire(crew);
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
  std::erase_if(suspending, [this](const auto& entry) {
    Crew* const crew = crews.find(entry.first);
    const bool is_over = crew == nullptr || crew->attempts.empty();
    if (is_over || now - entry.second <= suspend_limit(*crew)) {
      return is_over;
    }
    take_work(*crew);
    return true;
  });
  for (Growth& growth : std::exchange(growths, {})) {
    if (!advance(growth)) {
      growths.push_back(std::move(growth));
    }
  }
  std::erase_if(splits, [this](Split& split) { return split.undone ? clear(split) : advance(split); });
  std::erase_if(held_back, [this](const std::string& name) {
    Crew* const crew = crews.find(name);
    if (crew != nullptr && must_wait_for(crew->slots)) {
      return false;
    }
    if (crew != nullptr) {
      crews.change(*crew, [](Crew& changed) { changed.reserved = false; });
      nothing_for_now = false;
    }
    return true;
  });
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
  if (from != nullptr && (from->evaluating || (!growth.ready && !from->silent))) {
    return false;
  }
  if (from == nullptr || from->attempts.empty()) {
    if (from != nullptr) {
      retire(*from);
    }
    if (must_wait_for(growth.slots)) {
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

bool Study::Implementation::waits_for_exit() const {
  return options.elastic->waits_for_exit && options.elastic->waits_for_exit();
}

bool Study::Implementation::must_wait_for(const std::vector<int>& slots) const {
  return waits_for_exit() && std::ranges::any_of(retired, [&](const auto& entry) {
           return overlap(entry.second.slots, slots) && now - entry.second.since <= kExitLimit;
         });
}

bool Study::Implementation::advance(Split& split) {
  Crew* const from = crews.find(split.from);
  if (from == nullptr || is_idle(*from)) {
    if (from != nullptr) {
      retire(*from);
    }
    if (must_wait_for(split.slots)) {
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
    undo(split);
    return clear(split);
  }
  return false;
}

// The large crew keeps its slots, and the small ones that train on them already make room again.
void Study::Implementation::undo(Split& split) {
  split.undone = true;
  release(split);
  for (Crew* crew : crews.holders(split.slots)) {
    if (crew->name != split.from) {
      split.fenced.insert(crew->name);
      suspend(*crew);
    }
  }
  command(ReshapeCrews{.crews = {split.slots}});
  count_failed_takeover();
}

bool Study::Implementation::clear(Split& split) {
  std::erase_if(split.fenced, [&](const std::string& name) {
    Crew* const crew = crews.find(name);
    if (crew != nullptr && is_idle(*crew)) {
      retire(*crew);
      return true;
    }
    return crew == nullptr;
  });
  return split.fenced.empty();
}

void Study::Implementation::renew_limits() {
  for (auto& [crew, since] : suspending) {
    since = now;
  }
  for (Growth& growth : growths) {
    growth.ordered = now;
    growth.suspended = now;
  }
  for (Split& split : splits) {
    split.ordered = now;
  }
  for (auto& [crew, gone] : retired) {
    gone.since = now;
  }
  takeovers.clear();  // how long these take is not known any more
}

Microseconds Study::Implementation::suspend_limit(const Crew& crew) const {
  double epoch = 0;
  for (const AttemptId id : crew.attempts) {
    epoch = std::max(epoch, epoch_times.epoch_seconds(id).value_or(0));
  }
  const std::chrono::duration<double> epochs(kSuspendEpochs * epoch);
  return std::max(kSuspendLimit, std::chrono::duration_cast<Microseconds>(epochs));
}

// It was told to suspend, is heard, and does not: its work goes on elsewhere, from the last checkpoints. That
// is no failure of the trials: only the study wanted them elsewhere. The crew has to go, and who started it
// sees to that: as long as it is there its slots get no other.
void Study::Implementation::take_work(Crew& crew) {
  const std::set<AttemptId> attempts = crew.attempts;
  const std::string reason = fmt::format("crew {} did not save within {}", crew.name,
                                         format_duration(in_seconds(suspend_limit(crew))));
  for (const AttemptId id : attempts) {
    command(EndAttempt{.crew = crew.name, .attempt = id, .reason = reason});
    lose_attempt(id, Outcome::preempted, reason);
  }
  retire(crew);
  count_failed_takeover();
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
  suspending[crew.name] = now;
}

void Study::Implementation::retire(Crew& crew) {
  const std::string name = crew.name;
  retired[name] = {.since = now, .slots = crew.slots};
  command(DismissCrew{.crew = name});
  crews.remove(name);
  nothing_for_now = false;
}

}  // namespace regatta

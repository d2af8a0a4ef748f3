// Indices over the crews, so that no input looks at all of them.
#include "coordinator/crew_roster.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace regatta {

Crew* CrewRoster::find(const std::string& name) {
  const auto found = crews_.find(name);
  return found == crews_.end() ? nullptr : &found->second;
}

Crew& CrewRoster::join(const std::string& name, int lanes, Microseconds now) {
  const auto [place, is_new] = crews_.try_emplace(name);
  Crew& crew = place->second;
  if (is_new) {
    crew.name = name;
    crew.sequence = ++joined_;
    crew.heard = now;
    list(crew);
  }
  change(crew, [&](Crew& changed) {
    changed.lanes = std::max(1, lanes);
    changed.heard = now;
    changed.silent = false;
    changed.leaving = false;
  });
  return crew;
}

void CrewRoster::remove(const std::string& name) {
  if (Crew* crew = find(name)) {
    place(*crew, {});
    unlist(*crew);
    crews_.erase(name);
  }
}

void CrewRoster::place(Crew& crew, const std::vector<int>& slots) {
  for (const int slot : crew.slots) {
    const auto holders = by_slot_.find(slot);
    holders->second.erase(&crew);
    if (holders->second.empty()) {
      by_slot_.erase(holders);
    }
  }
  of_several_slots_ -= crew.slots.size() > 1 ? 1 : 0;
  of_several_slots_ += slots.size() > 1 ? 1 : 0;
  crew.slots = slots;
  for (const int slot : slots) {
    by_slot_[slot].insert(&crew);
  }
}

void CrewRoster::hear(Crew& crew, Microseconds now) {
  change(crew, [&](Crew& changed) {
    changed.heard = std::max(changed.heard, now);
    changed.silent = false;
  });
}

void CrewRoster::renew(Microseconds now) {
  for (auto& [name, crew] : crews_) {
    if (!crew.silent) {
      hear(crew, now);
    }
  }
}

Crew* CrewRoster::next_idle() { return idle_.empty() ? nullptr : std::get<Crew*>(*idle_.begin()); }

Crew* CrewRoster::next_partly_idle(Crew& after) {
  const IdleKey busiest_before = std::max(IdleKey{after.attempts.size(), after.sequence, &after},
                                          IdleKey{1, 0, static_cast<Crew*>(nullptr)});
  const auto next = idle_.upper_bound(busiest_before);
  return next == idle_.end() ? nullptr : std::get<Crew*>(*next);
}

std::vector<Crew*> CrewRoster::idle() const {
  std::vector<Crew*> crews;
  for (const auto& [attempts, sequence, crew] : idle_) {
    if (attempts > 0) {
      break;
    }
    crews.push_back(crew);
  }
  return crews;
}

std::vector<Crew*> CrewRoster::holders(const std::vector<int>& slots) const {
  std::set<std::pair<std::uint64_t, Crew*>> found;
  for (const int slot : slots) {
    if (const auto holders = by_slot_.find(slot); holders != by_slot_.end()) {
      for (Crew* crew : holders->second) {
        found.emplace(crew->sequence, crew);
      }
    }
  }
  std::vector<Crew*> crews;
  std::ranges::transform(found, std::back_inserter(crews), [](const auto& entry) { return entry.second; });
  return crews;
}

std::vector<Crew*> CrewRoster::fall_silent(Microseconds limit) {
  std::vector<Crew*> silent;
  while (!heard_.empty() && std::get<Microseconds>(*heard_.begin()) <= limit) {
    Crew* crew = std::get<Crew*>(*heard_.begin());
    change(*crew, [](Crew& changed) { changed.silent = true; });
    silent.push_back(crew);
  }
  return silent;
}

std::vector<std::string> CrewRoster::names() const {
  std::vector<std::string> names;
  for (const auto& [name, crew] : crews_) {
    names.push_back(name);
  }
  return names;
}

void CrewRoster::list(Crew& crew) {
  if (crew.has_free_lane()) {
    idle_.emplace(crew.attempts.size(), crew.sequence, &crew);
  }
  if (!crew.silent) {
    heard_.emplace(crew.heard, crew.sequence, &crew);
  }
}

void CrewRoster::unlist(Crew& crew) {
  idle_.erase({crew.attempts.size(), crew.sequence, &crew});
  heard_.erase({crew.heard, crew.sequence, &crew});
}

}  // namespace regatta

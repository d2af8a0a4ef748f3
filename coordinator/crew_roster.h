// The crews that are connected: what they run, which of them have a free lane, and who has fallen silent.
// Nothing here is stored: after a crash the crews tell it again.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "coordinator/events.h"

namespace regatta {

struct Crew {
  std::string name;
  int lanes = 1;
  std::vector<int> slots;      // of this coordinator's launcher, ascending; empty: a crew that came by itself
  std::uint64_t sequence = 0;  // of joining: the order in which idle crews are served
  Microseconds heard{0};
  std::set<AttemptId> attempts;     // current ones that it is known to run
  std::vector<AttemptId> given_up;  // taken from it while it was silent
  bool silent = false;              // not heard for a lease; gets no work until it is heard again
  bool leaving = false;             // ended an attempt as interrupted unasked: it is being taken away
  bool evaluating = false;
  bool reserved = false;  // until another crew has left its trial, or its slots

  bool has_free_lane() const {
    return !silent && !leaving && !evaluating && !reserved && static_cast<int>(attempts.size()) < lanes;
  }
};

class CrewRoster {
 public:
  Crew* find(const std::string& name);
  Crew& join(const std::string& name, int lanes, Microseconds now);  // known already: it has reconnected
  void remove(const std::string& name);
  void hear(Crew& crew, Microseconds now);
  void place(Crew& crew, const std::vector<int>& slots);

  void renew(Microseconds now);  // as if all but the silent had just been heard

  // Every change to a crew that may change whether it has a free lane goes through here.
  template <class Change>
  void change(Crew& crew, Change&& apply) {
    unlist(crew);
    apply(crew);
    list(crew);
  }

  // Of the crews with a free lane the one that runs least, of those the one that joined first; or nullptr.
  Crew* next_idle();
  // Of the crews with a free lane that run something, the next one in that order; or nullptr.
  Crew* next_partly_idle(Crew& after);
  // Crews that run nothing and could, in the order in which they joined.
  std::vector<Crew*> idle() const;
  bool any_of_several_slots() const { return of_several_slots_ > 0; }
  // The crews that have any of these slots, in the order in which they joined.
  std::vector<Crew*> holders(const std::vector<int>& slots) const;
  // Crews last heard at `limit` or before; they are silent from now on.
  std::vector<Crew*> fall_silent(Microseconds limit);
  std::vector<std::string> names() const;  // in the order of names

 private:
  void list(Crew& crew);
  void unlist(Crew& crew);

  // The pointer never decides the order: sequence numbers are distinct.
  using IdleKey = std::tuple<std::size_t, std::uint64_t, Crew*>;
  using HeardKey = std::tuple<Microseconds, std::uint64_t, Crew*>;
  std::map<std::string, Crew> crews_;
  std::set<IdleKey> idle_;
  std::map<int, std::set<Crew*>> by_slot_;
  std::size_t of_several_slots_ = 0;
  std::set<HeardKey> heard_;  // without the silent ones
  std::uint64_t joined_ = 0;
};

}  // namespace regatta

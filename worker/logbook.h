// What a crew has said and the coordinator has not answered yet. Connections break and coordinators are
// restarted; with this, everything is said again until it is known to be stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <vector>

#include "protocol/messages.pb.h"

namespace regatta {

// No I/O. Not thread-safe.
class Logbook {
 public:
  // False: not worth sending, since its attempt has been ended meanwhile.
  bool say(const wire::FromCrew& message);
  // False: a repetition, or about an attempt that is over: the crew need not see it.
  bool hear(const wire::ToCrew& message);

  // Attempts that run, or whose end is not answered yet.
  const std::set<std::int64_t>& attempts() const { return attempts_; }
  // To be sent again after every Welcome, in the order in which it was said.
  std::vector<wire::FromCrew> unanswered() const;
  std::size_t size() const { return said_.size(); }

 private:
  void forget(std::int64_t attempt);

  std::set<std::int64_t> attempts_;
  std::deque<wire::FromCrew> said_;  // Report, AttemptFinished, EvaluationDone
  bool idle_ = false;                // the last word was LaneFree
  std::uint32_t lanes_ = 0;          // of that LaneFree
};

}  // namespace regatta

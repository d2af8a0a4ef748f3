// A lock that is not there may have been moved aside for a moment only, by who wants to see what it was or by
// who takes it over: two looks in a row decide.
#include "cli/owner_watch.h"

#include <utility>

namespace regatta {

OwnerWatch::OwnerWatch(LockOwner asked, Microseconds now) : asked_(std::move(asked)), renewed_(now) {}

OwnerFate OwnerWatch::look(const std::optional<LockOwner>& owner, Microseconds now) {
  if (!owner) {
    return std::exchange(was_absent_, true) ? OwnerFate::gone : OwnerFate::holds;
  }
  was_absent_ = false;
  // An empty one is just being written, and the next look tells by whom; unless its writer died over it.
  const bool is_written = !owner->host.empty();
  if (is_written && owner->identity != asked_.identity) {
    return OwnerFate::replaced;
  }
  if (is_written && owner->text != asked_.text) {
    asked_.text = owner->text;
    renewed_ = now;
  }
  if (owner->life == LockOwner::Life::dead) {
    return OwnerFate::died;
  }
  return now - renewed_ > kLockPatience ? OwnerFate::silent : OwnerFate::holds;
}

}  // namespace regatta

// What becomes of a coordinator that was asked to end, as looks at the study's lock tell.
#pragma once

#include <optional>

#include "base/clock.h"
#include "coordinator/study_lock.h"

namespace regatta {

enum class OwnerFate {
  holds,     // it has the study still
  gone,      // nobody has it
  replaced,  // another coordinator has it
  died,      // seen on this host
  silent,    // its lock has not been renewed for the patience
};

class OwnerWatch {
 public:
  // `now`: of a monotonic clock, here and below.
  OwnerWatch(LockOwner asked, Microseconds now);
  // Of the lock as find_lock_owner() has just found it.
  OwnerFate look(const std::optional<LockOwner>& owner, Microseconds now);
  const LockOwner& asked() const { return asked_; }

 private:
  LockOwner asked_;
  Microseconds renewed_;
  bool was_absent_ = false;
};

}  // namespace regatta

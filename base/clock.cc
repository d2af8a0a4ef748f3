// The one place that reads the system's clocks.
#include "base/clock.h"

#include <algorithm>

#include "base/check.h"

namespace regatta {

SystemClock::SystemClock()
    : wall_at_zero_(
          std::chrono::duration_cast<Microseconds>(std::chrono::system_clock::now().time_since_epoch()) -
          monotonic()) {}

Microseconds SystemClock::monotonic() const {
  return std::chrono::duration_cast<Microseconds>(std::chrono::steady_clock::now().time_since_epoch());
}

void VirtualClock::advance_to(Microseconds time) {
  CHECK(time >= now_, "virtual time went back");
  now_ = time;
}

Microseconds Deadline::remaining() const { return std::max(at_ - clock_->monotonic(), Microseconds{0}); }

}  // namespace regatta

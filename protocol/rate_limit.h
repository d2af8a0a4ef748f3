// A peer must not be able to fill the disk with our log.
#pragma once

#include <optional>
#include <utility>

#include "base/clock.h"

namespace regatta {

// Lets one occurrence through an interval and counts those in between. Not thread-safe.
class RateLimit {
 public:
  explicit RateLimit(Microseconds interval = std::chrono::seconds(10)) : interval_(interval) {}

  // How many occurrences there were since the last that was let through, this one included; nullopt: be
  // quiet.
  std::optional<int> let_through() {
    ++count_;
    if (last_ && clock_.monotonic() - *last_ < interval_) {
      return std::nullopt;
    }
    last_ = clock_.monotonic();
    return std::exchange(count_, 0);
  }

 private:
  SystemClock clock_;
  Microseconds interval_;
  std::optional<Microseconds> last_;
  int count_ = 0;
};

}  // namespace regatta

// Time behind an interface: the simulator and the tests run the same code in virtual time.
#pragma once

#include <chrono>

namespace regatta {

using Microseconds = std::chrono::microseconds;

class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back; its zero has no meaning. For timeouts and durations.
  virtual Microseconds monotonic() const = 0;
  // Since 1970-01-01 UTC. For records that people read. Never goes back either.
  virtual Microseconds wall() const = 0;
};

// Wall time is the system's when the clock was made and monotonic from there: what sets the system's time, or
// suspends the machine, makes nothing that is measured in it seem overdue.
class SystemClock final : public Clock {
 public:
  SystemClock();
  Microseconds monotonic() const override;
  Microseconds wall() const override { return wall_at_zero_ + monotonic(); }

 private:
  Microseconds wall_at_zero_;  // of the monotonic clock
};

// Moves only when told; not thread-safe.
class VirtualClock final : public Clock {
 public:
  Microseconds monotonic() const override { return now_; }
  Microseconds wall() const override { return now_; }
  void advance_to(Microseconds time);

 private:
  Microseconds now_{0};
};

// A limit on a wait. Made from a clock, so that tests can let it pass.
class Deadline {
 public:
  Deadline(const Clock& clock, Microseconds timeout) : clock_(&clock), at_(clock.monotonic() + timeout) {}
  bool passed() const { return clock_->monotonic() >= at_; }
  // What is left, never negative.
  Microseconds remaining() const;

 private:
  const Clock* clock_;
  Microseconds at_;
};

}  // namespace regatta

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
  // Since 1970-01-01 UTC. For records that people read.
  virtual Microseconds wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  Microseconds monotonic() const override;
  Microseconds wall() const override;
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

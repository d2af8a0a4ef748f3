// The leader's inbox, sorted: what concerns the running attempt, and orders for later.
#pragma once

#include <deque>
#include <optional>
#include <set>

#include "worker/attempt.h"
#include "worker/leader.h"

namespace regatta {

// The link must outlive it.
class LeaderControl final : public AttemptControl {
 public:
  explicit LeaderControl(CoordinatorLink& link) : link_(link) {}

  // The next order, Welcome included; waits up to `wait`. When the coordinator stays away too long, Dismiss.
  Result<std::optional<wire::ToCrew>> next_order(Microseconds wait);

  // An attempt begins, suspended if that was ordered meanwhile; its end is told to the coordinator, and that
  // the lane is free.
  void begin(const wire::StartAttempt& start);
  Status finish(const AttemptEnd& end);

  Status report(const EpochReport& report) override;
  Result<Decision> decide(std::int64_t epoch, Microseconds wait) override;

 private:
  void sort(const wire::ToCrew& message);
  void end(std::int64_t attempt);
  void suspend(std::int64_t attempt);
  bool has_news(std::int64_t epoch) const;
  void end_if_orphaned();

  CoordinatorLink& link_;
  std::deque<wire::ToCrew> orders_;
  std::set<std::int64_t> suspended_;  // attempts whose start waits in orders_
  std::int64_t attempt_ = 0;          // running
  Decision decision_;                 // for it
};

}  // namespace regatta

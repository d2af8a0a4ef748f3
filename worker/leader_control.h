// The leader's inbox, sorted: what concerns each running attempt, and orders for later.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "worker/attempt.h"
#include "worker/leader.h"

namespace regatta {

// The link must outlive it. `asked_to_leave` makes the crew a guest (crew.h).
class LeaderControl {
 public:
  explicit LeaderControl(CoordinatorLink& link, std::function<bool()> asked_to_leave = {})
      : link_(link), asked_to_leave_(std::move(asked_to_leave)) {}

  // The next order, Welcome included; waits up to `wait`. Dismiss when the coordinator stays away too long,
  // and when the crew is leaving and rid of its attempts.
  Result<std::optional<wire::ToCrew>> next_order(Microseconds wait);
  // The next order if it is to start an attempt, for a crew that trains already: does not wait.
  Result<std::optional<wire::ToCrew>> next_start();

  // An attempt begins, suspended if that was ordered meanwhile; the control is valid until its end is told
  // to the coordinator, and that its lane is free.
  AttemptControl* begin(const wire::StartAttempt& start);
  Status finish(std::int64_t attempt, const AttemptEnd& end);
  // The crew trains another number of attempts at once than it said before.
  Status set_lanes(int lanes);
  bool is_leaving() const { return leaving_; }

 private:
  class Attempt final : public AttemptControl {
   public:
    Attempt(LeaderControl& leader, std::int64_t id, const Decision& first)
        : decision(first), leader_(leader), id_(id) {}
    Status report(const EpochReport& report) override;
    Result<Decision> decide(std::int64_t epoch, Microseconds wait) override;

    Decision decision;

   private:
    bool has_news(std::int64_t epoch) const;

    LeaderControl& leader_;
    const std::int64_t id_;
  };

  Status tell_lanes();  // how many there are, and that some may be free
  Status take_messages(Microseconds wait);
  std::optional<wire::ToCrew> pop_order();
  Attempt* running(std::int64_t attempt);
  void sort(const wire::ToCrew& message);
  void end(std::int64_t attempt);
  void suspend(std::int64_t attempt);
  void end_if_orphaned();
  void leave_if_asked();

  CoordinatorLink& link_;
  std::function<bool()> asked_to_leave_;
  bool leaving_ = false;
  std::deque<wire::ToCrew> orders_;
  std::set<std::int64_t> suspended_;  // attempts whose start waits in orders_
  std::map<std::int64_t, Attempt> attempts_;
};

}  // namespace regatta

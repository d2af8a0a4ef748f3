// Shared words: the leader fills in its decision and the others add zeros, so that one sum both broadcasts
// and counts.
#include "worker/steering.h"

#include <algorithm>
#include <array>

namespace regatta {
namespace {

constexpr Microseconds kMeetingInterval = std::chrono::seconds(1);
constexpr Microseconds kLongestSilence = std::chrono::milliseconds(500);
constexpr std::int64_t kCostShare = 100;  // sharing may take a hundredth of the time

enum Word : std::size_t { kAction, kUntilEpoch, kInterval, kUnhealthyRanks, kWords };

}  // namespace

Steering::Steering(Communicator& communicator, AttemptControl* control, const Clock& clock, int until_epoch)
    : communicator_(communicator), control_(control), clock_(clock) {
  CHECK((control != nullptr) == (communicator.rank() == 0), "the leader, and only it, has the control");
  view_.decision.until_epoch = until_epoch;
}

Result<Steering::View> Steering::at_step(std::int64_t epoch, bool healthy) {
  if (!fresh_ && steps_ < interval_) {
    ++steps_;
    return view_;
  }
  const Microseconds begin = clock_.monotonic();
  RETURN_IF_ERROR(share(epoch, healthy, {.limit = fresh_ ? kFileLimit : kStepLimit}));
  const Microseconds end = clock_.monotonic();
  if (!fresh_) {
    plan_interval((begin - shared_at_) / steps_, end - begin);
  }
  fresh_ = false;
  shared_at_ = end;
  steps_ = 1;
  return view_;
}

Result<Decision> Steering::wait_beyond(std::int64_t epoch) {
  Meeting meeting{.for_news = kMeetingInterval, .limit = kFileLimit};
  while (view_.decision.action == Decision::Action::go_on && view_.decision.until_epoch <= epoch) {
    RETURN_IF_ERROR(share(epoch, true, meeting));
    meeting.limit = kStepLimit;
  }
  return view_.decision;
}

Status Steering::share(std::int64_t epoch, bool healthy, const Meeting& meeting) {
  std::array<double, kWords> words{};
  words[kUnhealthyRanks] = healthy ? 0 : 1;
  if (control_ != nullptr) {
    ASSIGN_OR_RETURN(const Decision decision, control_->decide(epoch, meeting.for_news));
    words[kAction] = static_cast<double>(decision.action);
    words[kUntilEpoch] = decision.until_epoch;
    words[kInterval] = static_cast<double>(next_interval_);
  }
  RETURN_IF_ERROR(communicator_.allreduce(words, {.timeout = meeting.limit}));
  view_.decision.action = static_cast<Decision::Action>(static_cast<int>(words[kAction]));
  view_.decision.until_epoch = static_cast<int>(words[kUntilEpoch]);
  view_.healthy = words[kUnhealthyRanks] == 0;
  interval_ = static_cast<std::int64_t>(words[kInterval]);
  return {};
}

void Steering::plan_interval(Microseconds step, Microseconds cost) {
  const std::int64_t step_us = std::max<std::int64_t>(step.count(), 1);
  least_cost_ = std::min(least_cost_, cost);
  const std::int64_t longest = std::max<std::int64_t>(kLongestSilence.count() / step_us, 1);
  next_interval_ = std::clamp<std::int64_t>(kCostShare * least_cost_.count() / step_us, 1, longest);
}

}  // namespace regatta

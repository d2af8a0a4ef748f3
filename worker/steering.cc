// Shared words: the leader fills in its decisions and the others add zeros, so that one sum both broadcasts
// and counts.
#include "worker/steering.h"

#include <algorithm>

namespace regatta {
namespace {

constexpr Microseconds kMeetingInterval = std::chrono::seconds(1);
constexpr Microseconds kLongestSilence = std::chrono::milliseconds(500);
constexpr Microseconds kTogether = std::chrono::milliseconds(20);
constexpr std::int64_t kCostShare = 100;  // sharing may take a hundredth of the time

// The first word is the interval; then these for each lane, free or not.
enum LaneWord : std::size_t { kAction, kUntilEpoch, kUnhealthyRanks, kLaneWords };

std::size_t first_word(std::size_t lane) { return 1 + lane * kLaneWords; }

bool has_news(const Decision& decision, std::int64_t epoch) {
  return decision.action != Decision::Action::go_on || decision.until_epoch > epoch;
}

}  // namespace

Steering::Steering(Communicator& communicator, const Clock& clock, int lanes)
    : communicator_(communicator),
      clock_(clock),
      seats_(static_cast<std::size_t>(lanes)),
      words_(first_word(seats_.size())) {}

void Steering::seat(int lane, AttemptControl* control, int until_epoch) {
  CHECK((control != nullptr) == (communicator_.rank() == 0), "the leader, and only it, has the control");
  Seat& seat = seats_.at(static_cast<std::size_t>(lane));
  CHECK(!seat.taken);
  seat = {.taken = true, .control = control, .view = {}};
  seat.view.decision.until_epoch = until_epoch;
}

void Steering::clear(int lane) { seats_.at(static_cast<std::size_t>(lane)) = {}; }

void Steering::stand(int lane, std::int64_t epoch, bool healthy) {
  Seat& seat = seats_[static_cast<std::size_t>(lane)];
  seat.epoch = epoch;
  seat.healthy = healthy;
}

Result<bool> Steering::at_step() {
  if (!fresh_ && steps_ < interval_) {
    ++steps_;
    return false;
  }
  const Microseconds begin = clock_.monotonic();
  RETURN_IF_ERROR(share({.limit = fresh_ ? kFileLimit : kStepLimit}));
  const Microseconds end = clock_.monotonic();
  if (!fresh_) {
    plan_interval((begin - shared_at_) / steps_, end - begin);
  }
  fresh_ = false;
  wait_limit_ = kFileLimit;
  shared_at_ = end;
  steps_ = 1;
  return true;
}

Status Steering::wait() {
  return share({.for_news = kMeetingInterval, .limit = std::exchange(wait_limit_, kStepLimit)});
}

// Waits, if at all, with the last question: what comes meanwhile for another lane ends the wait as well. The
// answers to lanes that have reported together come one shortly after the other, and are waited for, so that
// these lanes go on together.
Status Steering::ask_controls(Microseconds for_news) {
  words_.front() = static_cast<double>(next_interval_);
  const auto last = std::find_if(seats_.rbegin(), seats_.rend(), [](const Seat& seat) { return seat.taken; });
  bool news = false;
  for (Seat& seat : seats_) {
    if (seat.taken) {
      const bool waits = &seat == &*last && !news;
      ASSIGN_OR_RETURN(seat.news, seat.control->decide(seat.epoch, waits ? for_news : Microseconds(0)));
      news = news || has_news(seat.news, seat.epoch);
    }
  }
  const bool are_several = std::ranges::count_if(seats_, &Seat::taken) > 1;
  const Microseconds limit = clock_.monotonic() + kTogether;
  for (Seat& seat : seats_) {
    if (seat.taken && are_several && for_news.count() > 0 && !has_news(seat.news, seat.epoch)) {
      const Microseconds left = std::max(limit - clock_.monotonic(), Microseconds(0));
      ASSIGN_OR_RETURN(seat.news, seat.control->decide(seat.epoch, left));
    }
  }
  for (std::size_t lane = 0; lane < seats_.size(); ++lane) {
    if (seats_[lane].taken) {
      words_[first_word(lane) + kAction] = static_cast<double>(seats_[lane].news.action);
      words_[first_word(lane) + kUntilEpoch] = seats_[lane].news.until_epoch;
    }
  }
  return {};
}

Status Steering::share(const Meeting& meeting) {
  std::fill(words_.begin(), words_.end(), 0.0);
  if (communicator_.rank() == 0) {
    RETURN_IF_ERROR(ask_controls(meeting.for_news));
  }
  for (std::size_t lane = 0; lane < seats_.size(); ++lane) {
    words_[first_word(lane) + kUnhealthyRanks] = seats_[lane].healthy ? 0 : 1;
  }
  RETURN_IF_ERROR(communicator_.allreduce(words_, {.timeout = meeting.limit}));
  for (std::size_t lane = 0; lane < seats_.size(); ++lane) {
    if (!seats_[lane].taken) {
      continue;
    }
    const double* const words = &words_[first_word(lane)];
    View& view = seats_[lane].view;
    view.decision.action = static_cast<Decision::Action>(static_cast<int>(words[kAction]));
    view.decision.until_epoch = static_cast<int>(words[kUntilEpoch]);
    view.healthy = words[kUnhealthyRanks] == 0;
  }
  interval_ = static_cast<std::int64_t>(words_.front());
  return {};
}

void Steering::plan_interval(Microseconds step, Microseconds cost) {
  const std::int64_t step_us = std::max<std::int64_t>(step.count(), 1);
  least_cost_ = std::min(least_cost_, cost);
  const std::int64_t longest = std::max<std::int64_t>(kLongestSilence.count() / step_us, 1);
  next_interval_ = std::clamp<std::int64_t>(kCostShare * least_cost_.count() / step_us, 1, longest);
}

}  // namespace regatta

// A coordinator may send the next order in one breath with the end of an attempt, so orders queue up here.
#include "worker/leader_control.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "base/text.h"

namespace regatta {
namespace {

constexpr std::size_t kMaxTextBytes = 8000;  // of texts that programs write

wire::AttemptFinished::Outcome outcome_of(AttemptEnd::How how) {
  using How = AttemptEnd::How;
  switch (how) {
    case How::complete:
      return wire::AttemptFinished::COMPLETE;
    case How::diverged:
      return wire::AttemptFinished::DIVERGED;
    case How::failed:
      return wire::AttemptFinished::FAILED;
    case How::invalid:
      return wire::AttemptFinished::INVALID;
    case How::lost:
      return wire::AttemptFinished::LOST;
    case How::interrupted:
      return wire::AttemptFinished::INTERRUPTED;
    case How::ordered:
      break;
  }
  CHECK(false, "an attempt that was ordered to end has no outcome of its own");
}

// Cuts before a character of UTF-8, where it is UTF-8: what a program writes need not be.
std::string shortened(const std::string& text) {
  constexpr std::size_t kMaxCharacterBytes = 4;
  if (text.size() <= kMaxTextBytes) {
    return text;
  }
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  std::size_t end = kMaxTextBytes;
  while (continues(end) && end + kMaxCharacterBytes > kMaxTextBytes + 1) {
    --end;
  }
  return text.substr(0, end);
}

bool starts(const wire::ToCrew& order, std::int64_t attempt) {
  return order.has_start_attempt() && order.start_attempt().attempt() == attempt;
}

}  // namespace

Result<std::optional<wire::ToCrew>> LeaderControl::next_order(Microseconds wait) {
  if (orders_.empty()) {
    ASSIGN_OR_RETURN(const auto message, link_.receive(wait));
    if (message) {
      sort(*message);
    } else {
      end_if_orphaned();
    }
  }
  if (orders_.empty()) {
    return std::optional<wire::ToCrew>();
  }
  std::optional<wire::ToCrew> order(std::move(orders_.front()));
  orders_.pop_front();
  return order;
}

void LeaderControl::begin(const wire::StartAttempt& start) {
  attempt_ = start.attempt();
  const bool suspended = suspended_.erase(attempt_) > 0;
  decision_ = {.action = suspended ? Decision::Action::suspend : Decision::Action::go_on,
               .until_epoch = start.until_epoch()};
}

Status LeaderControl::finish(const AttemptEnd& end) {
  if (end.how != AttemptEnd::How::ordered) {
    wire::FromCrew message;
    wire::AttemptFinished& finished = *message.mutable_attempt_finished();
    finished.set_attempt(attempt_);
    finished.set_outcome(outcome_of(end.how));
    finished.set_checkpoint(end.checkpoint);
    finished.set_message(shortened(end.message));
    RETURN_IF_ERROR(link_.send(std::move(message)));
  }
  attempt_ = 0;
  wire::FromCrew free;
  free.mutable_lane_free()->set_lanes(1);
  return link_.send(std::move(free));
}

Status LeaderControl::report(const EpochReport& report) {
  wire::FromCrew message;
  wire::Report& said = *message.mutable_report();
  said.set_attempt(attempt_);
  said.set_epoch(report.epoch);
  for (const auto& [name, value] : report.metrics) {
    wire::Metric& metric = *said.add_metrics();
    metric.set_name(name);
    metric.set_value(value);
  }
  said.set_checkpoint(report.checkpoint);
  said.set_seconds(report.seconds);
  return link_.send(std::move(message));
}

Result<Decision> LeaderControl::decide(std::int64_t epoch, Microseconds wait) {
  while (true) {
    const Microseconds patience = has_news(epoch) ? Microseconds(0) : wait;
    ASSIGN_OR_RETURN(const auto message, link_.receive(patience));
    if (!message) {
      break;
    }
    sort(*message);
  }
  if (wait.count() > 0 && !has_news(epoch)) {
    end_if_orphaned();
  }
  return decision_;
}

bool LeaderControl::has_news(std::int64_t epoch) const {
  return decision_.action != Decision::Action::go_on || decision_.until_epoch > epoch;
}

void LeaderControl::sort(const wire::ToCrew& message) {
  if (message.has_answer_report()) {
    const wire::AnswerReport& answer = message.answer_report();
    if (answer.attempt() == attempt_ && answer.go_on()) {
      decision_.until_epoch = std::max(decision_.until_epoch, answer.until_epoch());
    } else if (!answer.go_on()) {
      end(answer.attempt());
    }
  } else if (message.has_end_attempt()) {
    end(message.end_attempt().attempt());
  } else if (message.has_suspend_attempt()) {
    suspend(message.suspend_attempt().attempt());
  } else {
    if (message.has_dismiss()) {
      orders_.clear();  // nothing that waits is wanted any more
      decision_.action = Decision::Action::end;
    }
    orders_.push_back(message);
  }
}

// One that waits never begins. Orders wait only while another attempt runs, and its end frees the lane.
void LeaderControl::end(std::int64_t attempt) {
  if (attempt == attempt_) {
    decision_.action = Decision::Action::end;
    return;
  }
  suspended_.erase(attempt);
  std::erase_if(orders_, [&](const wire::ToCrew& order) { return starts(order, attempt); });
}

void LeaderControl::suspend(std::int64_t attempt) {
  if (attempt == attempt_) {
    if (decision_.action == Decision::Action::go_on) {
      decision_.action = Decision::Action::suspend;
    }
  } else if (std::ranges::any_of(orders_,
                                 [&](const wire::ToCrew& order) { return starts(order, attempt); })) {
    suspended_.insert(attempt);
  }
}

// A checkpoint is there, and a later coordinator starts crews of its own.
void LeaderControl::end_if_orphaned() {
  if (!link_.is_orphaned()) {
    return;
  }
  const std::chrono::duration<double> silence = link_.silence();
  spdlog::info("nothing heard from the coordinator for {}: this crew ends", format_duration(silence.count()));
  wire::ToCrew dismiss;
  dismiss.mutable_dismiss();
  sort(dismiss);
}

}  // namespace regatta

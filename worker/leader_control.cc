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
  leave_if_asked();
  if (orders_.empty()) {
    ASSIGN_OR_RETURN(const auto message, link_.receive(wait));
    if (message) {
      sort(*message);
    } else {
      end_if_orphaned();
    }
  }
  return pop_order();
}

Result<std::optional<wire::ToCrew>> LeaderControl::next_start() {
  RETURN_IF_ERROR(take_messages(Microseconds(0)));
  const bool starts_next = !orders_.empty() && orders_.front().has_start_attempt();
  return starts_next ? pop_order() : std::nullopt;
}

std::optional<wire::ToCrew> LeaderControl::pop_order() {
  if (orders_.empty()) {
    return std::nullopt;
  }
  std::optional<wire::ToCrew> order(std::move(orders_.front()));
  orders_.pop_front();
  return order;
}

AttemptControl* LeaderControl::begin(const wire::StartAttempt& start) {
  const bool suspended = suspended_.erase(start.attempt()) > 0;
  const Decision first{.action = suspended ? Decision::Action::suspend : Decision::Action::go_on,
                       .until_epoch = start.until_epoch()};
  const auto [place, is_new] = attempts_.try_emplace(start.attempt(), *this, start.attempt(), first);
  CHECK(is_new, "an attempt begins once");
  return &place->second;
}

Status LeaderControl::finish(std::int64_t attempt, const AttemptEnd& end) {
  CHECK(attempts_.erase(attempt) == 1);
  if (end.how != AttemptEnd::How::ordered) {
    wire::FromCrew message;
    wire::AttemptFinished& finished = *message.mutable_attempt_finished();
    finished.set_attempt(attempt);
    finished.set_outcome(outcome_of(end.how));
    finished.set_checkpoint(end.checkpoint);
    finished.set_message(shortened(end.message));
    RETURN_IF_ERROR(link_.send(std::move(message)));
  }
  return leaving_ ? Status() : tell_lanes();
}

Status LeaderControl::set_lanes(int lanes) {
  link_.set_lanes(lanes);
  return tell_lanes();
}

Status LeaderControl::tell_lanes() {
  wire::FromCrew free;
  free.mutable_lane_free()->set_lanes(static_cast<std::uint32_t>(link_.lanes()));
  return link_.send(std::move(free));
}

Status LeaderControl::Attempt::report(const EpochReport& report) {
  wire::FromCrew message;
  wire::Report& said = *message.mutable_report();
  said.set_attempt(id_);
  said.set_epoch(report.epoch);
  for (const auto& [name, value] : report.metrics) {
    wire::Metric& metric = *said.add_metrics();
    metric.set_name(name);
    metric.set_value(value);
  }
  said.set_checkpoint(report.checkpoint);
  said.set_seconds(report.seconds);
  if (report.card) {
    said.set_gpu_memory_bytes(report.card->used_bytes());
    if (report.card->utilization) {
      said.set_gpu_utilization(*report.card->utilization);
    }
  }
  return leader_.link_.send(std::move(message));
}

Result<Decision> LeaderControl::Attempt::decide(std::int64_t epoch, Microseconds wait) {
  leader_.leave_if_asked();
  RETURN_IF_ERROR(leader_.take_messages(has_news(epoch) ? Microseconds(0) : wait));
  if (wait.count() > 0 && !has_news(epoch)) {
    leader_.end_if_orphaned();
  }
  return decision;
}

bool LeaderControl::Attempt::has_news(std::int64_t epoch) const {
  return decision.action != Decision::Action::go_on || decision.until_epoch > epoch;
}

// Waits for the first of them only.
Status LeaderControl::take_messages(Microseconds wait) {
  while (true) {
    ASSIGN_OR_RETURN(const auto message, link_.receive(wait));
    if (!message) {
      return {};
    }
    sort(*message);
    wait = Microseconds(0);
  }
}

LeaderControl::Attempt* LeaderControl::running(std::int64_t attempt) {
  const auto found = attempts_.find(attempt);
  return found == attempts_.end() ? nullptr : &found->second;
}

void LeaderControl::sort(const wire::ToCrew& message) {
  if (message.has_answer_report()) {
    const wire::AnswerReport& answer = message.answer_report();
    if (!answer.go_on()) {
      end(answer.attempt());
    } else if (Attempt* attempt = running(answer.attempt())) {
      attempt->decision.until_epoch = std::max(attempt->decision.until_epoch, answer.until_epoch());
    }
  } else if (message.has_end_attempt()) {
    end(message.end_attempt().attempt());
  } else if (message.has_suspend_attempt()) {
    suspend(message.suspend_attempt().attempt());
  } else if (message.has_dismiss() && message.dismiss().comes_back() && asked_to_leave_) {
    spdlog::info("the coordinator is going; this crew waits for it to go on elsewhere");
  } else if (leaving_ && !message.has_dismiss()) {
    return;  // the goodbye gives new work back
  } else {
    if (message.has_dismiss()) {
      orders_.clear();  // nothing that waits is wanted any more
      for (auto& [id, attempt] : attempts_) {
        attempt.decision.action = Decision::Action::end;
      }
    }
    orders_.push_back(message);
  }
}

// One that waits never begins. Orders wait only while other attempts run, and the end of one frees a lane.
void LeaderControl::end(std::int64_t attempt) {
  if (Attempt* at = running(attempt)) {
    at->decision.action = Decision::Action::end;
    return;
  }
  suspended_.erase(attempt);
  std::erase_if(orders_, [&](const wire::ToCrew& order) { return starts(order, attempt); });
}

void LeaderControl::suspend(std::int64_t attempt) {
  if (Attempt* at = running(attempt)) {
    if (at->decision.action == Decision::Action::go_on) {
      at->decision.action = Decision::Action::suspend;
    }
  } else if (std::ranges::any_of(orders_,
                                 [&](const wire::ToCrew& order) { return starts(order, attempt); })) {
    suspended_.insert(attempt);
  }
}

void LeaderControl::leave_if_asked() {
  if (!leaving_ && asked_to_leave_ && asked_to_leave_()) {
    spdlog::info("asked to leave: {} attempts are saved and go on elsewhere", attempts_.size());
    leaving_ = true;
    orders_.clear();
    for (auto& [id, attempt] : attempts_) {
      suspend(id);
    }
  }
  if (leaving_ && attempts_.empty() && orders_.empty()) {
    orders_.emplace_back().mutable_dismiss();
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

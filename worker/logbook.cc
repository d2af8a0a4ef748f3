// The answers: AnswerReport for Report, EndAttempt for AttemptFinished, the next order for EvaluationDone.
#include "worker/logbook.h"

namespace regatta {
namespace {

bool is_about(const wire::FromCrew& message, std::int64_t attempt) {
  return (message.has_report() && message.report().attempt() == attempt) ||
         (message.has_attempt_finished() && message.attempt_finished().attempt() == attempt);
}

}  // namespace

bool Logbook::say(const wire::FromCrew& message) {
  if (message.has_lane_free()) {
    idle_ = true;
    lanes_ = message.lane_free().lanes();
    return true;
  }
  if ((message.has_report() && !attempts_.contains(message.report().attempt())) ||
      (message.has_attempt_finished() && !attempts_.contains(message.attempt_finished().attempt()))) {
    return false;
  }
  if (message.has_report() || message.has_attempt_finished() || message.has_evaluation_done()) {
    said_.push_back(message);
  }
  return true;
}

bool Logbook::hear(const wire::ToCrew& message) {
  using What = wire::ToCrew::WhatCase;
  switch (message.what_case()) {
    case What::kStartAttempt:
    case What::kEvaluateTrial:
    case What::kDismiss:
      idle_ = false;
      std::erase_if(said_, [](const wire::FromCrew& said) { return said.has_evaluation_done(); });
      return !message.has_start_attempt() || attempts_.insert(message.start_attempt().attempt()).second;
    case What::kAnswerReport: {
      const wire::AnswerReport& answer = message.answer_report();
      std::erase_if(said_, [&](const wire::FromCrew& said) {
        return said.has_report() && said.report().attempt() == answer.attempt() &&
               said.report().epoch() == answer.epoch();
      });
      const bool is_known = attempts_.contains(answer.attempt());
      if (!answer.go_on()) {
        forget(answer.attempt());
      }
      return is_known;
    }
    case What::kEndAttempt: {
      const bool is_known = attempts_.contains(message.end_attempt().attempt());
      forget(message.end_attempt().attempt());
      return is_known;
    }
    case What::kSuspendAttempt:
      return attempts_.contains(message.suspend_attempt().attempt());
    default:
      return false;
  }
}

std::vector<wire::FromCrew> Logbook::unanswered() const {
  std::vector<wire::FromCrew> messages(said_.begin(), said_.end());
  if (idle_) {
    messages.emplace_back().mutable_lane_free()->set_lanes(lanes_);
  }
  return messages;
}

void Logbook::forget(std::int64_t attempt) {
  attempts_.erase(attempt);
  std::erase_if(said_, [&](const wire::FromCrew& said) { return is_about(said, attempt); });
}

}  // namespace regatta

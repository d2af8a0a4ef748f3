// Field by field; an inactive parameter travels as NaN.
#include "coordinator/translation.h"

#include <google/protobuf/repeated_ptr_field.h>

#include <limits>
#include <utility>

namespace regatta {
namespace {

Metrics metrics_from(const google::protobuf::RepeatedPtrField<wire::Metric>& metrics) {
  Metrics result;
  for (const wire::Metric& metric : metrics) {
    result.emplace_back(metric.name(), metric.value());
  }
  return result;
}

CardLoad card_load_from(const wire::Report& report) {
  CardLoad load;
  if (report.has_gpu_memory_bytes()) {
    load.memory_bytes = report.gpu_memory_bytes();
  }
  if (report.has_gpu_utilization()) {
    load.utilization = report.gpu_utilization();
  }
  return load;
}

Outcome outcome_from(wire::AttemptFinished::Outcome outcome) {
  switch (outcome) {
    case wire::AttemptFinished::COMPLETE:
      return Outcome::complete;
    case wire::AttemptFinished::DIVERGED:
      return Outcome::diverged;
    case wire::AttemptFinished::FAILED:
      return Outcome::failed;
    case wire::AttemptFinished::INVALID:
      return Outcome::invalid;
    case wire::AttemptFinished::INTERRUPTED:
      return Outcome::interrupted;
    default:  // LOST; parse_from_crew() lets no number without a name through
      return Outcome::lost;
  }
}

template <class Message>
void write_point(const Point& point, Message& message) {
  for (const auto& number : point) {
    message.add_point(number.value_or(std::numeric_limits<double>::quiet_NaN()));
  }
}

Outgoing to_wire(const StartAttempt& command) {
  Outgoing outgoing{.crew = command.crew};
  wire::StartAttempt& start = *outgoing.message.mutable_start_attempt();
  start.set_attempt(command.attempt);
  start.set_trial(command.trial);
  write_point(command.point, start);
  start.set_until_epoch(command.until_epoch);
  start.set_checkpoint(command.checkpoint);
  return outgoing;
}

Outgoing to_wire(const AnswerReport& command) {
  Outgoing outgoing{.crew = command.crew};
  wire::AnswerReport& answer = *outgoing.message.mutable_answer_report();
  answer.set_attempt(command.attempt);
  answer.set_epoch(command.epoch);
  answer.set_go_on(command.action == AnswerReport::Action::go_on);
  answer.set_until_epoch(command.until_epoch);
  return outgoing;
}

Outgoing to_wire(const EndAttempt& command) {
  Outgoing outgoing{.crew = command.crew};
  wire::EndAttempt& end = *outgoing.message.mutable_end_attempt();
  end.set_attempt(command.attempt);
  end.set_reason(command.reason);
  return outgoing;
}

Outgoing to_wire(const SuspendAttempt& command) {
  Outgoing outgoing{.crew = command.crew};
  outgoing.message.mutable_suspend_attempt()->set_attempt(command.attempt);
  return outgoing;
}

Outgoing to_wire(const EvaluateTrial& command) {
  Outgoing outgoing{.crew = command.crew};
  wire::EvaluateTrial& evaluate = *outgoing.message.mutable_evaluate_trial();
  evaluate.set_trial(command.trial);
  write_point(command.point, evaluate);
  evaluate.set_checkpoint(command.checkpoint);
  return outgoing;
}

Outgoing to_wire(const DismissCrew& command) {
  Outgoing outgoing{.crew = command.crew};
  outgoing.message.mutable_dismiss();
  return outgoing;
}

}  // namespace

std::optional<Input> input_from(const std::string& crew, const wire::FromCrew& message) {
  switch (message.what_case()) {
    case wire::FromCrew::kLaneFree:
      return LaneFree{.crew = crew, .lanes = static_cast<int>(message.lane_free().lanes())};
    case wire::FromCrew::kReport: {
      const wire::Report& report = message.report();
      return ReportReceived{.crew = crew,
                            .attempt = report.attempt(),
                            .epoch = report.epoch(),
                            .metrics = metrics_from(report.metrics()),
                            .checkpoint = report.checkpoint(),
                            .seconds = report.seconds(),
                            .card = card_load_from(report)};
    }
    case wire::FromCrew::kAttemptFinished: {
      const wire::AttemptFinished& finished = message.attempt_finished();
      return AttemptFinished{.crew = crew,
                             .attempt = finished.attempt(),
                             .outcome = outcome_from(finished.outcome()),
                             .checkpoint = finished.checkpoint(),
                             .message = finished.message()};
    }
    case wire::FromCrew::kEvaluationDone: {
      const wire::EvaluationDone& done = message.evaluation_done();
      return EvaluationDone{.crew = crew,
                            .trial = done.trial(),
                            .metrics = metrics_from(done.metrics()),
                            .model = done.model(),
                            .error = done.error()};
    }
    default:
      return std::nullopt;
  }
}

std::optional<Outgoing> outgoing_from(const Command& command) {
  return std::visit(
      [](const auto& what) -> std::optional<Outgoing> {
        using What = std::decay_t<decltype(what)>;
        if constexpr (std::is_same_v<What, DeleteCheckpoint> || std::is_same_v<What, ReshapeCrews>) {
          return std::nullopt;
        } else {
          return to_wire(what);
        }
      },
      command);
}

}  // namespace regatta

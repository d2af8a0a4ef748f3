// The leader repeats to its crew what the coordinator orders, and all ranks carry it out together. Between
// orders it sends empty ones, so that a rank's death is noticed and waiting is no error.
#include "worker/crew.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "worker/agreement.h"
#include "worker/crew_member.h"
#include "worker/leader.h"
#include "worker/leader_control.h"

namespace regatta {
namespace {

constexpr Microseconds kMeetingInterval = std::chrono::seconds(1);
constexpr Microseconds kFarewell = std::chrono::seconds(10);  // for the answers to what a guest has said

void add_metrics(wire::EvaluationDone& done, const MetricValues& metrics) {
  for (const auto& [name, value] : metrics) {
    wire::Metric& metric = *done.add_metrics();
    metric.set_name(name);
    metric.set_value(value);
  }
}

wire::FromCrew evaluation_message(int trial, const Evaluation& evaluation) {
  wire::FromCrew message;
  wire::EvaluationDone& done = *message.mutable_evaluation_done();
  done.set_trial(trial);
  done.set_error(evaluation.error);
  if (evaluation.error.empty()) {
    done.set_model(evaluation.model);
    add_metrics(done, evaluation.metrics);
  }
  return message;
}

wire::FromCrew goodbye(const std::string& reason) {
  wire::FromCrew message;
  message.mutable_goodbye()->set_reason(reason);
  return message;
}

class Crew {
 public:
  Crew(Communicator& communicator, const CrewOptions& options)
      : communicator_(communicator), options_(options) {}

  // Between two pieces of work the ranks meet to hear of the next order. A crew that is full needs none.
  Status lead() {
    CoordinatorLink link({.folder = options_.folder,
                          .name = options_.name,
                          .ranks = communicator_.size(),
                          .lanes = std::max(1, options_.lanes)},
                         clock_);
    LeaderControl control(link, options_.asked_to_leave);
    while (true) {
      if (can_take_orders()) {
        ASSIGN_OR_RETURN(const auto order,
                         is_busy() ? control.next_start() : control.next_order(kMeetingInterval));
        RETURN_IF_ERROR(broadcast_text(communicator_, order ? order->SerializeAsString() : ""));
        if (order && order->has_dismiss()) {
          return leave(link, control);
        }
        if (order) {
          RETURN_IF_ERROR(carry_out(*order, link, control));
        }
      }
      if (is_busy()) {
        ASSIGN_OR_RETURN(const auto ended, member_->advance());
        for (const EndedAttempt& attempt : ended) {
          if (!attempt.end.message.empty()) {
            spdlog::info("trial {}, attempt {}: {}", attempt.trial, attempt.attempt, attempt.end.message);
          }
          RETURN_IF_ERROR(control.finish(attempt.attempt, attempt.end));
        }
      }
    }
  }

  Status follow() {
    CollectiveOptions meeting;
    while (true) {
      if (can_take_orders()) {
        ASSIGN_OR_RETURN(const std::string text, broadcast_text(communicator_, "", meeting));
        // After work the leader may have to wait for the coordinator before it is rid of its answer.
        meeting.timeout = text.empty() && !is_busy() ? kStepLimit : kFileLimit;
        wire::ToCrew order;
        CHECK(order.ParseFromString(text), "the leader sends what it has parsed");
        if (order.has_dismiss()) {
          return {};
        }
        if (order.has_welcome()) {
          RETURN_IF_ERROR(join(order.welcome()));
        } else if (order.has_start_attempt()) {
          member_->begin(order.start_attempt(), nullptr);
        } else if (order.has_evaluate_trial()) {
          ASSIGN_OR_RETURN(const Evaluation evaluation, member_->evaluate(order.evaluate_trial()));
        }
      }
      if (is_busy()) {
        meeting.timeout = kFileLimit;
        ASSIGN_OR_RETURN(const auto ended, member_->advance());
      }
    }
  }

 private:
  // A guest's trials go on elsewhere from what it has saved, once that is known to be stored.
  static Status leave(CoordinatorLink& link, const LeaderControl& control) {
    if (control.is_leaving()) {
      link.wait_for_answers(kFarewell);
    }
    return link.send(goodbye(control.is_leaving() ? "it was asked to" : "dismissed"));
  }

  bool is_busy() const { return member_ != nullptr && member_->is_busy(); }
  bool can_take_orders() const { return !is_busy() || member_->has_room(); }

  // The study's folder may have another path on this host than on the coordinator's.
  Status join(wire::Welcome welcome) {
    welcome.set_folder(std::filesystem::absolute(options_.folder).string());
    ASSIGN_OR_RETURN(member_, CrewMember::join(communicator_, clock_, welcome,
                                               {.threads = options_.threads,
                                                .lanes = options_.lanes,
                                                .ranks_per_gpu = options_.ranks_per_gpu}));
    if (options_.takes_over) {
      member_->load_ahead();
    }
    return {};
  }

  Status carry_out(const wire::ToCrew& order, CoordinatorLink& link, LeaderControl& control) {
    if (order.has_welcome()) {
      RETURN_IF_ERROR(join(order.welcome()));
      const bool is_news = options_.takes_over || member_->lanes() != link.lanes();
      return is_news ? control.set_lanes(member_->lanes()) : Status();
    }
    if (order.has_start_attempt()) {
      const wire::StartAttempt& start = order.start_attempt();
      spdlog::debug("trial {}, attempt {}: begins, until epoch {}", start.trial(), start.attempt(),
                    start.until_epoch());
      member_->begin(start, control.begin(start));
      return {};
    }
    if (order.has_evaluate_trial()) {
      const int trial = order.evaluate_trial().trial();
      ASSIGN_OR_RETURN(const Evaluation evaluation, member_->evaluate(order.evaluate_trial()));
      return link.send(evaluation_message(trial, evaluation));
    }
    return {};
  }

  Communicator& communicator_;
  const CrewOptions& options_;
  const SystemClock clock_;
  std::unique_ptr<CrewMember> member_;
};

}  // namespace

Status run_crew(Communicator& communicator, const CrewOptions& options) {
  Crew crew(communicator, options);
  return communicator.rank() == 0 ? crew.lead() : crew.follow();
}

}  // namespace regatta

// What simulated crews do when a command of the study reaches them.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <tuple>
#include <variant>

#include "coordinator/simulated_crews.h"

namespace regatta {
namespace {

int epoch_of(const std::string& checkpoint) {
  constexpr std::string_view kEpoch = "epoch-";
  int epoch = 0;
  const std::size_t digits = checkpoint.empty() ? 0 : checkpoint.rfind(kEpoch) + kEpoch.size();
  std::from_chars(checkpoint.data() + digits, checkpoint.data() + checkpoint.size(), epoch);
  return epoch;
}

}  // namespace

void SimulatedCrews::carry_out(const Command& command) {
  std::visit([this](const auto& what) { carry(what); }, command);
}

void SimulatedCrews::need_file(const std::string& checkpoint, const char* why) {
  if (!checkpoint.empty() && !files_.contains(checkpoint)) {
    violations_.push_back(fmt::format("{} needs {}, which does not exist", why, checkpoint));
  }
}

void SimulatedCrews::carry(const StartAttempt& command) {
  SimulatedCrew* crew = find(command.crew);
  if (crew == nullptr) {
    return;
  }
  if (crew->attempts.size() >= static_cast<std::size_t>(options_.lanes)) {
    violations_.push_back(fmt::format("{} is given attempt {} while it runs {}", command.crew,
                                      command.attempt, crew->attempts.begin()->first));
  }
  need_file(command.checkpoint, "an attempt");
  Attempt& attempt = crew->attempts[command.attempt];
  attempt = {.id = command.attempt,
             .point = command.point,
             .trial = command.trial,
             .epoch = epoch_of(command.checkpoint),
             .until_epoch = command.until_epoch};
  if (const auto part = parts_.find(command.checkpoint); part != parts_.end()) {
    std::tie(attempt.part, attempt.part_seconds) = part->second;
  }
  if (attempt.epoch >= command.until_epoch) {
    violations_.push_back(fmt::format("attempt {} has nothing to train", command.attempt));
    return;
  }
  begin_epoch(index_of(*crew), attempt, microseconds(options_.start_seconds));
}

void SimulatedCrews::carry(const AnswerReport& command) {
  SimulatedCrew* crew = find_running(command.crew, command.attempt);
  if (crew == nullptr) {
    return;
  }
  Attempt& attempt = crew->attempts.at(command.attempt);
  std::erase_if(attempt.unanswered, [&](const auto& report) { return report.epoch == command.epoch; });
  if (command.action == AnswerReport::Action::end) {
    leave_attempt(*crew, command.attempt);
    return;
  }
  attempt.until_epoch = std::max(attempt.until_epoch, command.until_epoch);
  if (!attempt.epoch_began && attempt.epoch < attempt.until_epoch) {
    begin_epoch(index_of(*crew), attempt, {});
  }
}

void SimulatedCrews::carry(const EndAttempt& command) {
  if (SimulatedCrew* crew = find_running(command.crew, command.attempt)) {
    leave_attempt(*crew, command.attempt);
  }
}

void SimulatedCrews::carry(const SuspendAttempt& command) {
  if (SimulatedCrew* crew = find_running(command.crew, command.attempt)) {
    const std::string checkpoint = save_part(*crew, crew->attempts.at(command.attempt));
    leave_attempt(*crew, command.attempt);
    send(index_of(*crew), AttemptFinished{.crew = command.crew,
                                          .attempt = command.attempt,
                                          .outcome = Outcome::interrupted,
                                          .checkpoint = checkpoint});
  }
}

void SimulatedCrews::carry(const EvaluateTrial& command) {
  need_file(command.checkpoint, "the evaluation");
  if (SimulatedCrew* crew = find(command.crew)) {
    schedule({.happening = Happening::evaluated, .crew = index_of(*crew), .attempt = command.trial},
             microseconds(options_.start_seconds));
  }
}

void SimulatedCrews::carry(const DismissCrew& command) {
  if (SimulatedCrew* crew = find(command.crew)) {
    leave_attempts(*crew);
    crew->alive = false;
    crew->dismissed = true;
    if (options_.elastic) {
      arrived_.push_back(CrewLost{.crew = command.crew, .preempted = true, .reason = "dismissed"});
      give_slots_back(index_of(*crew));
    }
  }
}

void SimulatedCrews::carry(const ReshapeCrews& command) {
  for (const std::vector<int>& slots : command.crews) {
    const std::size_t index = index_of_slots(slots);
    for (const int slot : slots) {
      crew_of_slot_[static_cast<std::size_t>(slot)] = index;
    }
    schedule({.happening = Happening::start, .crew = index}, microseconds(options_.reshape_seconds / 2));
  }
}

void SimulatedCrews::carry(const DeleteCheckpoint& command) {
  parts_.erase(command.checkpoint);
  if (files_.erase(command.checkpoint) == 0) {
    violations_.push_back(fmt::format("{} is deleted, but does not exist", command.checkpoint));
  }
}

}  // namespace regatta

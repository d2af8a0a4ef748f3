// What every rank of a crew does, leader or not: it carries out orders.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "experiment/experiment.h"
#include "protocol/messages.pb.h"
#include "worker/attempt.h"
#include "worker/evaluation.h"
#include "worker/workbench.h"

namespace regatta {

// Made from the coordinator's Welcome, alike on all ranks. What it refers to must outlive it.
class CrewMember {
 public:
  static Result<std::unique_ptr<CrewMember>> join(Communicator& communicator, const Clock& clock,
                                                  const wire::Welcome& welcome, int threads);

  // All ranks, with the same order. Errors mean that the crew itself is broken.
  Result<AttemptEnd> run(const wire::StartAttempt& start, AttemptControl* control);
  Result<Evaluation> evaluate(const wire::EvaluateTrial& order);

 private:
  CrewMember(Communicator& communicator, const Clock& clock, Experiment experiment,
             const wire::Welcome& welcome, int threads);
  bool runs_program() const { return experiment_.section("command") != nullptr; }

  Communicator& communicator_;
  const Clock& clock_;
  const Experiment experiment_;
  const std::filesystem::path folder_;  // of the study
  const std::filesystem::path experiment_folder_;
  const int threads_;
  Workbench bench_;
};

}  // namespace regatta

// What every rank of a crew does, leader or not: it carries out orders.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "devices/card_meter.h"
#include "devices/devices.h"
#include "experiment/experiment.h"
#include "protocol/messages.pb.h"
#include "worker/attempt.h"
#include "worker/evaluation.h"
#include "worker/training.h"
#include "worker/workbench.h"

namespace regatta {

// Made from the coordinator's Welcome, alike on all ranks. What it refers to must outlive it.
class CrewMember {
 public:
  struct Capacity {
    int threads = 1;                   // a rank
    int lanes = 1;                     // attempts at once; programs run one at a time; 0: as many as fit
    std::optional<int> ranks_per_gpu;  // on cards, which so many may share; nullopt: on CPUs
  };
  static Result<std::unique_ptr<CrewMember>> join(Communicator& communicator, const Clock& clock,
                                                  const wire::Welcome& welcome, const Capacity& capacity);

  int lanes() const { return bench_.options().lanes; }
  // Loads the data before there is an attempt, if no point has a say in which they are.
  void load_ahead() { bench_.load_ahead(); }

  // All ranks, with the same orders. Errors mean that the crew itself is broken.
  bool is_busy() const;   // some attempt runs
  bool has_room() const;  // for another
  // Only the leader has a control. The work is done by advance().
  void begin(const wire::StartAttempt& start, AttemptControl* control);
  // While busy: works on, for an epoch or so; which attempts have ended meanwhile.
  Result<std::vector<EndedAttempt>> advance();
  // While not busy.
  Result<Evaluation> evaluate(const wire::EvaluateTrial& order);

 private:
  CrewMember(Communicator& communicator, const Clock& clock, Experiment experiment,
             const wire::Welcome& welcome, const Capacity& capacity, const std::optional<Card>& card);
  bool runs_program() const { return experiment_.section("command") != nullptr; }

  Communicator& communicator_;
  const Clock& clock_;
  const Experiment experiment_;
  const std::filesystem::path folder_;  // of the study
  const std::filesystem::path experiment_folder_;
  const int threads_;
  std::unique_ptr<CardMeter> meter_;  // the leader's, where it has a card
  Workbench bench_;
  Training training_;
  struct Program {
    AttemptOrder order;
    AttemptControl* control = nullptr;
  };
  std::optional<Program> program_;     // the attempt that runs one
  std::vector<EndedAttempt> refused_;  // before they began
};

}  // namespace regatta

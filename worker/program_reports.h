// The leader's part of a program's trial: lines become reports, decisions become answers.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "devices/card_meter.h"
#include "experiment/experiment.h"
#include "worker/attempt.h"
#include "worker/program_protocol.h"

namespace regatta {

// What a checkpoint is for a program: its files are its own business, this file notes which epoch they have
// reached.
Status write_marker(const std::filesystem::path& path, int trial, int epoch);
Result<int> read_marker(const std::filesystem::path& path);

struct ProgramReportsOptions {
  std::filesystem::path folder;  // of the study
  Microseconds grace{0};         // when suspended: to reach the next report
  int resume_epoch = 0;          // reports up to it count already
  CardMeter* meter = nullptr;    // of this rank's card; nullptr: none
};

// What refers to the attempt must outlive this object.
class ProgramReports {
 public:
  ProgramReports(const Experiment& experiment, const Clock& clock, const AttemptOrder& order,
                 AttemptControl& control, ProgramReportsOptions options);

  // A line of output, while no report waits for its answer. False: it is for people. An error ends the crew.
  Result<bool> take(const std::string& line);
  // Not empty: a report cannot be used.
  const std::string& mistake() const { return mistake_; }
  bool has_report() const { return waiting_ || repeated_; }  // that is not answered yet

  struct Next {
    std::optional<ProgramAnswer> answer;
    std::optional<AttemptEnd::How> leave;  // without an answer: the program is at no report
  };
  // What to do now; with a report waits up to `wait` for the coordinator. A program that has finished is told
  // to go on (which starts it again) only when those of the other ranks have finished too.
  struct Programs {
    bool mine_finished = false;
    bool all_finished = false;
  };
  Result<Next> decide(const Programs& programs, Microseconds wait);

  int last_epoch() const { return last_epoch_; }
  int until_epoch() const { return until_epoch_; }
  const std::string& newest_checkpoint() const { return newest_checkpoint_; }

 private:
  Status pass_on(const ProgramReport& report);
  void check_objectives(const ProgramReport& report);
  Next leave_without_answer(Decision::Action action);

  const Experiment& experiment_;
  const Clock& clock_;
  const AttemptOrder& order_;
  AttemptControl& control_;
  const ProgramReportsOptions options_;
  int last_epoch_;
  int until_epoch_;
  bool waiting_ = false;  // a report has been passed on
  bool repeated_ =
      false;  // a report of an epoch that counts already: the program began earlier than it had to
  std::string mistake_;
  std::string newest_checkpoint_;
  Microseconds epoch_begin_;
  std::optional<Microseconds> suspended_at_;
};

}  // namespace regatta

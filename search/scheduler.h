// Schedulers decide how long each trial trains. A scheduler is a deterministic state machine: the coordinator
// tells it every fact in order, and after a crash tells the same facts again, so it keeps no other memory.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "experiment/section.h"
#include "search/context.h"
#include "search/trial.h"

namespace regatta {

// What a free crew should do next.
struct StartTrial {  // a new trial, trained to `until_epoch`, in `bracket` (0 where there are none)
  int bracket = 0;
  int until_epoch = 0;
  std::optional<Point> point;  // the scheduler's own choice; else the sampler's
  std::optional<int> parent;   // begins with this trial's newest checkpoint, at its epoch
};
struct ResumeTrial {  // a paused trial goes on from its checkpoint
  int trial = 0;
  int until_epoch = 0;
};
struct WaitForReports {};  // nothing now; a report or an end will change that
struct NothingLeft {};     // no running trial can change that any more
using Assignment = std::variant<StartTrial, ResumeTrial, WaitForReports, NothingLeft>;

// What becomes of a trial after a report.
struct Verdict {
  enum class Action {
    go_on,     // train to until_epoch (unchanged unless the report reached it)
    pause,     // keep the checkpoint, free the crew; may be resumed
    stop,      // ended early
    complete,  // ended as planned
  };
  Action action = Action::go_on;
  int until_epoch = 0;  // with go_on
};

// A verdict, and the paused trials that can no longer be promoted because of this fact: they end as stopped.
struct Ruling {
  Verdict verdict;
  std::vector<int> dropped;
};

// One rung as planned, for `regatta validate`.
struct RungPlan {
  int bracket = 0;
  int epochs = 0;  // trained in total by a trial that reaches the end of this rung
  int trials = 0;  // 0: not known in advance (asynchronous)
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  // Does not change the state: the coordinator calls started() when the assignment is carried out.
  virtual Assignment next() const = 0;
  // `trial` has been started or resumed as `assignment` said (StartTrial or ResumeTrial). A lost attempt that
  // is tried again is not told.
  virtual void started(const Trial& trial, const Assignment& assignment) = 0;
  // A new report: trial.scores.back() is it. Each (trial, epoch) is told once, in rising order of epochs.
  virtual Ruling reported(const Trial& trial) = 0;
  // The trial ended otherwise: failed or invalid (its place is free for another), or complete on its own
  // before until_epoch (its last score counts for the rungs that it has not reached). Verdicts are not told
  // again.
  virtual std::vector<int> ended(const Trial& trial) = 0;
  // No new trial will be started: the limit is reached or the space is exhausted. Rungs that wait for more
  // must not.
  virtual std::vector<int> closed() = 0;

  virtual std::vector<RungPlan> plan() const = 0;
  // The epochs of a trial that is never stopped; learning-rate schedules stretch over them. kUnlimitedEpochs
  // if unknown.
  virtual int max_epochs() const = 0;
  // Trials of one full round; the default for search.stop.trials. 0: the scheduler has no natural end.
  virtual int trials_per_round() const = 0;
};

// Makes the scheduler that `search.scheduler` names; unknown names and options are located mistakes.
Result<std::unique_ptr<Scheduler>> make_scheduler(const Typed& config, const SearchContext& context);
std::vector<std::string> scheduler_names();

}  // namespace regatta

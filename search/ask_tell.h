// Ask and tell: the search for programs that train by themselves. Joins sampler and scheduler as a study
// does, without crews, clock or files: what is asked and told, in order, is all that decides.
//
//   AskTell search(experiment, config);
//   AskTell::Answer answer = search.ask();
//   while (const auto* work = std::get_if<AskTell::Work>(&answer)) {
//     RETURN_IF_ERROR(search.tell(work->trial, {loss_of(work->point)}));
//     answer = search.ask();
//   }
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <variant>
#include <vector>

#include "base/result.h"
#include "experiment/experiment.h"
#include "search/search.h"

namespace regatta {

// Not thread-safe. Any number of trials may be open at once. Values are in the user's direction, one an
// objective. A mistake of the caller is an error, and changes nothing.
class AskTell {
 public:
  // A trial to train from `from_epoch` until `until_epoch`, or until a report is answered otherwise.
  struct Work {
    int trial = 0;
    Point point;
    int from_epoch = 0;         // trained already; 0: from the start
    int until_epoch = 0;        // granted; kUnlimitedEpochs: the caller decides when it is done
    bool resumed = false;       // it was paused at from_epoch and goes on from its checkpoint
    std::optional<int> parent;  // a new trial that begins with this trial's checkpoint of from_epoch
  };
  struct NothingNow {};  // what becomes of the open trials decides: ask again after a report or a tell
  struct Done {};        // nothing more to train
  using Answer = std::variant<Work, NothingNow, Done>;

  // What becomes of a trial after a report.
  struct Decision {
    enum class Action {
      go_on,  // train on, to until_epoch
      pause,  // keep the checkpoint; ask() may hand the trial out again
      stop,   // the trial has ended
    };
    Action action = Action::go_on;
    int until_epoch = 0;  // with go_on
  };

  // `config` was read from the experiment, which must outlive this.
  AskTell(const Experiment& experiment, const SearchConfig& config);
  // With a sampler and a scheduler of the caller's own, made for this experiment's space.
  AskTell(const Experiment& experiment, const StopRule& stop, std::unique_ptr<Sampler> sampler,
          std::unique_ptr<Scheduler> scheduler);

  // Ends as a study does: with stop.trials or stop.target, with the space, or when the scheduler has nothing
  // left; stop.hours is left to the caller. Does not wait for trials that can bring no more work, so that
  // only a trial that turns out invalid may still be followed by another after Done.
  Answer ask();

  // The values of an open trial after `epoch` epochs. Epochs rise, and may leave some out. Values that are
  // not finite are a divergence: the trial has failed, and the decision is to stop.
  Result<Decision> report(int trial, int epoch, const std::vector<double>& values);

  // An open trial is complete, with these values; values that are not finite make it a failed one. After a
  // decision to stop this is allowed and changes nothing: the reports have said all.
  Status tell(int trial, const std::vector<double>& values);

  // An open trial ends without a value. An invalid one, whose point cannot be built, must not have reported;
  // it does not count towards stop.trials.
  enum class Failure { failed, invalid };
  Status give_up(int trial, Failure why);

  std::span<const Trial> trials() const { return trials_; }  // by number; their values are minimised
  std::vector<Work> open() const;                            // what was handed out and has not come back
  // By the first objective: the best complete trial, else the best stopped one, else the best of all.
  std::optional<int> best() const;

 private:
  struct Progress {
    int from_epoch = 0;
    int until_epoch = 0;
    bool resumed = false;
    std::optional<int> parent;
    bool proven = false;           // has reported or ended: known not to turn out invalid any more
    bool ended_by_search = false;  // by a decision, not by the caller: a tell may follow
  };

  std::optional<Work> start(const StartTrial& assignment);
  Work resume(const ResumeTrial& assignment);
  Work work_of(int trial) const;
  void close();
  bool limit_reached() const;
  bool reaches_target(double value) const;
  Answer nothing_now() const;
  bool knows(int trial) const { return trial >= 0 && static_cast<std::size_t>(trial) < trials_.size(); }
  bool was_ended_by_search(int trial) const;
  Status check_open(int trial) const;
  Status check_epoch(int trial, int epoch) const;
  Result<std::vector<double>> minimized(const std::vector<double>& values) const;
  Verdict judge(int trial);
  Decision carry_out(int trial, const Verdict& verdict);
  void take_score(int trial, int epoch, std::vector<double> values);
  void prove_valid(int trial);
  void end(int trial, TrialState state);
  void drop(const std::vector<int>& trials);

  const Experiment& experiment_;
  StopRule stop_;
  std::unique_ptr<Sampler> sampler_;
  std::unique_ptr<Scheduler> scheduler_;
  std::vector<Trial> trials_;
  std::vector<Progress> progress_;  // parallel to trials_
  std::set<int> open_;
  std::set<int> paused_;
  int invalid_ = 0;
  int unproven_ = 0;
  double best_value_;
  bool closed_ = false;
};

}  // namespace regatta

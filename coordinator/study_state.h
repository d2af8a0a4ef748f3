// What the events of a study add up to. apply() is the only way to change it, live and in replay alike, so
// that a replayed study equals the live one by construction. No decision stands here, only what follows from
// facts: the scheduler's rulings, which trials wait, which checkpoints nobody needs any more.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "coordinator/checkpoint_keeper.h"
#include "coordinator/study.h"

namespace regatta {

struct RunningAttempt {
  int trial = 0;
  std::string crew;
  std::optional<Outcome> due;  // its last report decided how it ends; the event that says so follows
};

// What speaks for a mistake that every trial would repeat, since the study was started or resumed.
struct EarlyFailures {
  bool any_valid = false;  // a trial reported a value, or ended other than as invalid
  bool any_value = false;
  int invalid = 0;
  int alike = 0;  // failed in a row with the same message
  std::string message;
  std::string invalid_message;
};

class StudyState {
 public:
  StudyState(const Experiment& experiment, SearchConfig config, int kept_models);

  void apply(const TimedEvent& event);

  const Experiment& experiment() const { return experiment_; }
  const SearchConfig& config() const { return config_; }
  const Scheduler& scheduler() const { return *scheduler_; }
  const std::vector<Trial>& trials() const { return trials_; }
  const std::vector<TrialRecord>& records() const { return records_; }
  const std::vector<int>& ended_trials() const { return ended_trials_; }
  std::optional<int> best_trial() const;
  // What best_trial() will be when the study ends now: the trials that wait or are paused end as stopped.
  std::optional<int> best_when_ended() const;
  const std::string& last_failure() const { return last_failure_; }  // of a failed or invalid trial
  const std::optional<StudyEnded>& ended() const { return ended_; }
  const std::optional<TestMeasured>& test() const { return test_; }
  Microseconds elapsed(Microseconds now) const;

  const std::map<AttemptId, RunningAttempt>& attempts() const { return attempts_; }
  const RunningAttempt* attempt(AttemptId id) const;
  AttemptId next_attempt() const { return last_attempt_ + 1; }
  // Trials that go on as granted before: their last attempt was lost, preempted or interrupted.
  const std::set<int>& waiting() const { return waiting_; }
  // Trials that have a point but that the scheduler has not started, or not again.
  const std::set<int>& unstarted() const { return unstarted_; }
  const std::set<int>& retryable() const { return retryable_; }  // failed, but not by diverging
  int counted() const { return static_cast<int>(trials_.size()) - invalid_; }
  int unproven() const { return unproven_; }  // trials of which it is not known yet whether they are invalid
  bool closed() const { return closed_; }
  bool exhausted() const { return exhausted_; }
  const EarlyFailures& early_failures() const { return early_failures_; }
  bool reaches_target(int trial) const;
  bool target_reached() const;

  std::vector<std::string> take_obsolete() { return checkpoints_.take_obsolete(); }
  std::vector<std::string> checkpoints() const { return checkpoints_.all(); }

 private:
  std::unique_ptr<Scheduler> fresh_scheduler() const;

  using Rank = std::tuple<bool, double, int>;  // stopped (complete ones are better), value, number

  void on(const TrialProposed& event);
  void on(const AttemptStarted& event);
  void on(const Reported& event);
  void on(const AttemptEnded& event);
  void on(const TestMeasured& event);
  void on(const StudyEnded& event);
  void on(const StudyResumed& event);
  void on(const SearchClosed& event);
  void on(const SearchReopened& event);

  void take_score(const Reported& event, std::vector<double> values);
  void take_checkpoint(int trial, const std::string& checkpoint, std::optional<double> value);
  void start_with_scheduler(const AttemptStarted& event);
  void wait_again(int trial);
  void prove_valid(int trial);
  void end_trial(int trial, TrialState state);
  void count_early_failure(const AttemptEnded& event);
  static Rank rank_of(const Trial& trial, bool stopped);
  void rank(int trial);
  void drop(const std::vector<int>& trials);
  void collect_checkpoints(int trial);

  const Experiment& experiment_;
  SearchConfig config_;
  std::unique_ptr<Scheduler> scheduler_;
  std::size_t kept_models_;

  std::vector<Trial> trials_;
  std::vector<TrialRecord> records_;
  std::vector<double> best_checkpoint_values_;  // by trial; of records_[].best_checkpoint
  std::vector<bool> proven_;                    // by trial
  std::vector<int> ended_trials_;
  std::optional<StudyEnded> ended_;
  std::optional<TestMeasured> test_;
  std::string last_failure_;

  std::map<AttemptId, RunningAttempt> attempts_;
  AttemptId last_attempt_ = 0;
  std::set<int> waiting_;
  std::set<int> unstarted_;
  std::set<int> paused_;
  std::set<int> retryable_;
  int invalid_ = 0;
  int unproven_ = 0;
  bool closed_ = false;
  bool exhausted_ = false;
  EarlyFailures early_failures_;
  double best_value_;  // of any report so far

  // The best ended trials, best first, kept_models_ at most.
  std::set<Rank> ranking_;
  CheckpointKeeper checkpoints_;

  Microseconds now_{0};  // of the event in hand
  Microseconds elapsed_before_{0};
  std::optional<Microseconds> session_start_;
  Microseconds last_event_{0};
};

}  // namespace regatta

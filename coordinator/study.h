// The study: all decisions and no I/O. Inputs in; events (facts to be stored) and commands (to be sent once
// the events are stored) out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "coordinator/elastic.h"
#include "coordinator/events.h"
#include "experiment/experiment.h"
#include "search/search.h"

namespace regatta {

// What the study is told. Crews are named by their launcher, each start of a process gets a new name.
struct CrewJoined {
  std::string crew;
  int lanes = 1;                    // attempts that it can run at once
  std::vector<AttemptId> attempts;  // still running there: a crew that outlived a coordinator
  // That it takes up, ascending: it was started by whom ReshapeCrews goes to. Empty: it came by itself, and
  // stays as it is.
  std::vector<int> slots;
};
struct CrewHeard {  // any sign of life renews the leases of the crew's attempts
  std::string crew;
};
struct CrewLost {
  std::string crew;
  bool preempted = false;
  std::string reason;
};
struct ReportReceived {
  std::string crew;
  AttemptId attempt = 0;
  int epoch = 0;
  Metrics metrics;
  std::string checkpoint;
  double seconds = 0;
  CardLoad card;
};
struct AttemptFinished {  // the crew ended the attempt by itself
  std::string crew;
  AttemptId attempt = 0;
  Outcome outcome = Outcome::complete;  // complete, diverged, failed, invalid, lost or interrupted
  std::string checkpoint;
  std::string message;
};
// The crew has room for one more attempt. One of several slots says so, too, once it has its data.
struct LaneFree {
  std::string crew;
  int lanes = 1;  // in all, now
};
struct EvaluationDone {
  std::string crew;
  int trial = 0;
  Metrics metrics;  // empty with `error`
  std::string model;
  std::string error;
};
struct Woke {};         // the coordinator could listen to nobody for a while: all leases begin anew
struct Tick {};         // time has passed: leases, the time limit
struct StopRequested {  // Ctrl-C: save and end
  std::string why = "stopped on request";
};
using Input = std::variant<CrewJoined, CrewHeard, CrewLost, ReportReceived, AttemptFinished, LaneFree,
                           EvaluationDone, Woke, Tick, StopRequested>;

// What the study asks for.
struct StartAttempt {
  std::string crew;
  AttemptId attempt = 0;
  int trial = 0;
  Point point;
  int until_epoch = 0;
  std::string checkpoint;  // empty: from the start
};
// The answer to a report; also says that the report is stored.
struct AnswerReport {
  std::string crew;
  AttemptId attempt = 0;
  int epoch = 0;
  enum class Action { go_on, end } action = Action::go_on;
  int until_epoch = 0;  // with go_on
};
// End the attempt at the next step boundary and forget it; nothing more is expected of it.
struct EndAttempt {
  std::string crew;
  AttemptId attempt = 0;
  std::string reason;
};
// Save a checkpoint at the next step boundary and end as interrupted.
struct SuspendAttempt {
  std::string crew;
  AttemptId attempt = 0;
};
// Measure the model of `checkpoint` on the test data and write it out.
struct EvaluateTrial {
  std::string crew;
  int trial = 0;
  Point point;
  std::string checkpoint;
};
struct DismissCrew {  // nothing is left to do
  std::string crew;
};
// From now on each of these sets of slots makes one crew. Crews that are not there yet are started; others
// that have any of these slots are not started again, and go on until they are dismissed. A crew of several
// slots that ends is not started again either: its slots make crews of their own then.
struct ReshapeCrews {
  std::vector<std::vector<int>> crews;
};
struct DeleteCheckpoint {  // no longer needed by anyone
  std::string checkpoint;
};
using Command = std::variant<StartAttempt, AnswerReport, EndAttempt, SuspendAttempt, EvaluateTrial,
                             DismissCrew, ReshapeCrews, DeleteCheckpoint>;

// Everything that follows from one input, in order.
struct Reaction {
  std::vector<TimedEvent> events;
  std::vector<Command> commands;
};

// A trial with what the coordinator knows of it beyond the search's view.
struct TrialRecord {
  std::vector<Reported> reports;  // in the order of epochs
  int bracket = 0;
  std::optional<int> parent;         // it began with this trial's checkpoint
  bool inherits = false;             // `checkpoint` is still the parent's
  int attempts_lost = 0;             // towards max_attempts
  std::optional<AttemptId> attempt;  // the current one, while running
  std::string crew;                  // of the current attempt
  int until_epoch = 0;               // granted
  std::string checkpoint;            // newest durable one
  std::string best_checkpoint;       // of the best value that has one; may equal `checkpoint`
  int best_epoch = 0;
  std::string message;      // why it failed
  Microseconds started{0};  // wall time of the first attempt; 0: none yet
  Microseconds ended{0};    // wall time; 0: not ended
};

struct StudyOptions {
  int max_attempts = 3;
  Microseconds lease{std::chrono::seconds(30)};
  bool evaluate_best = true;  // there is test data, or a model to write: end with EvaluateTrial
  int kept_models = 1;        // best checkpoints kept of ended trials
  // Only trials of equal shapes can share a crew of several lanes. Empty: all can.
  std::function<std::string(const Point&)> shape_of;
  // Idle crews join others that train. nullopt: each crew stays as it is.
  std::optional<ElasticOptions> elastic;
};

// Not thread-safe. Of one session: constructed, told the stored events by replay() and then resume() where
// there are any, and then only handle().
class Study {
 public:
  // `config` was read from the experiment, which must outlive the study.
  Study(const Experiment& experiment, SearchConfig config, StudyOptions options);
  Study(Study&& other) noexcept;
  ~Study();

  // Decides what follows from `input` at time `now` (wall clock, which must not jump: leases are measured in
  // it). Deterministic.
  Reaction handle(const Input& input, Microseconds now);

  // Rebuilds the state from a stored fact; used before the first handle() only.
  void replay(const TimedEvent& event);
  // After the last replay: attempts that were running get a fresh lease. With retry_failed, failed trials
  // wait again (not those that diverged: they would once more). An ended study is open again when its stop
  // rule allows more or its best trial is still to be measured; else nothing happens and ended() stays.
  // Events only: a checkpoint that nobody needs any more is left to sweep_checkpoints().
  Reaction resume(bool retry_failed, Microseconds now);

  // Parallel views, indexed by trial number.
  std::span<const Trial> trials() const;
  std::span<const TrialRecord> records() const;
  // The trials in the order in which they ended; a trial that failed and was retried stands here twice.
  std::span<const int> ended_trials() const;
  // The best complete trial by the first objective; if none is complete, the best stopped one. Of equals, the
  // first.
  std::optional<int> best_trial() const;
  // Every checkpoint that may still be needed; others in the study's folder are left over from a crash.
  std::vector<std::string> checkpoints() const;
  const std::optional<StudyEnded>& ended() const;
  const std::optional<TestMeasured>& test() const;
  const Experiment& experiment() const;
  const SearchConfig& config() const;
  const Scheduler& scheduler() const;
  std::optional<int> trial_limit() const;        // stop.trials, or the trials of one round of the scheduler
  Microseconds elapsed(Microseconds now) const;  // running time over all sessions, for stop.hours

 private:
  struct Implementation;  // study_implementation.h
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace regatta

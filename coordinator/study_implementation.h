// The parts of a study: facts (StudyState), crews (CrewRoster), and the decisions that stand here. study.cc
// takes the inputs, study_decisions.cc chooses work and the end, study_elastic.cc reshapes crews,
// study_reshape.cc decides when.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/crew_roster.h"
#include "coordinator/shapes.h"
#include "coordinator/study.h"
#include "coordinator/study_state.h"

namespace regatta {

struct Study::Implementation {
  Implementation(const Experiment& experiment, SearchConfig config, StudyOptions options);

  Reaction handle(const Input& input, Microseconds time);
  Reaction resume(bool retry_failed, Microseconds time);

  void on(const CrewJoined& input);
  void on(const CrewHeard& input);
  void on(const CrewLost& input);
  void on(const ReportReceived& input);
  void on(const AttemptFinished& input);
  void on(const LaneFree& input);
  void on(const EvaluationDone& input);
  void on(const Woke& input);
  void on(const Tick& input);
  void on(const StopRequested& input);

  // The only ways in which events and commands come about.
  void emit(Event event);
  void command(Command command) { reaction.commands.push_back(std::move(command)); }
  Reaction take_reaction();

  // study.cc
  Crew* hear(const std::string& crew);
  void adopt(Crew& crew, AttemptId id);  // the crew runs it
  void take_report(const ReportReceived& report, const RunningAttempt& attempt);
  void end_attempt(AttemptId id, Outcome outcome, std::string message, const std::string& checkpoint = {});
  // The crew died (`lost`, which counts towards max_attempts) or was taken away (`preempted`).
  void lose_attempt(AttemptId id, Outcome outcome, const std::string& reason);
  void give_up(Crew& crew);  // silent for a lease: others get its work

  // study_decisions.cc
  struct Retry {
    int trial = 0;
  };
  struct Done {};
  // Retry: a trial that waits goes on as granted. StartTrial, ResumeTrial: the scheduler's.
  using Work = std::variant<Retry, StartTrial, ResumeTrial, WaitForReports, Done>;

  // What all trials of a crew have in common; nullopt: it runs none and can take any.
  using Shape = std::optional<int>;
  Shape shape_of(const Crew& crew);
  bool fits(int trial, Shape shape) { return !shape || shapes.of(state.trials(), trial) == *shape; }

  void settle();  // after every input: what follows for crews that are idle, and for the study's end
  void serve();
  bool serve_one();  // whether an attempt was started, or something else has changed
  Work choose_work(Shape shape);
  Work choose_new_trial(const StartTrial& assignment);
  bool reopen_search();  // whether a new scheduler took over
  // Whether they did anything: the trial may be of another shape than the crew's.
  bool carry_out(Crew& crew, const Work& work);
  bool carry_out_start(Crew& crew, const StartTrial& assignment);
  std::optional<int> find_unstarted(Shape shape, const StartTrial& assignment);
  std::optional<int> propose(Crew& crew, Shape shape, const StartTrial& assignment);
  void start_attempt(Crew& crew, int trial, int until_epoch, std::optional<int> bracket = {});
  void look_for_end();
  std::optional<std::string> hopeless() const;  // why no trial will ever work
  bool time_over() const;
  void end_running();
  void finish(StudyEnded::Reason reason, std::string message);
  void evaluate();
  void end_study(StudyEnded::Reason reason, std::string message);
  bool may_go_on(bool retry_failed) const;
  const std::string& model_of(int trial) const;  // the checkpoint to measure; empty: it left none
  bool is_to_be_measured(int trial) const;
  std::optional<int> trial_limit() const;
  bool limit_reached() const;

  // study_elastic.cc
  // A larger crew is to take over from one that trains.
  struct Growth {
    std::string from;
    std::vector<int> slots;  // of the larger crew, those of `from` among them
    Microseconds ordered{0};
    std::string to;            // the larger crew, once it has joined
    bool ready = false;        // it has its data
    std::optional<int> trial;  // `from` was told to suspend it, at that time
    Microseconds suspended{0};
  };
  // A crew of several slots is to make room for one crew each.
  struct Split {
    std::string from;
    std::vector<int> slots;
    std::set<int> joined;  // slots that have crews of their own
    Microseconds ordered{0};
    bool suspended = false;
    bool undone = false;           // not all small crews have come in time
    std::set<std::string> fenced;  // small crews that are to leave the slots to `from` again
  };
  struct Retired {
    Microseconds since{0};
    std::vector<int> slots;
  };
  void take_place(Crew& crew);  // it has joined; may be dismissed at once
  void rejoin(const Split& split, Crew& crew);
  void settle_conflict(Crew& newcomer, Crew& other);
  void crew_has_data(const std::string& crew);
  void leave_place(const std::string& crew);  // it is gone
  void take_over();                           // what is due of growths and splits; before work is given out
  bool advance(Growth& growth);               // whether it is over
  bool advance(Split& split);
  void hand_over(Crew& to, const Growth& growth);
  void abandon(const Growth& growth);
  void undo(Split& split);
  bool clear(Split& split);  // of the crews that are fenced; whether none is left
  void renew_limits();  // the coordinator stood still, and that time counts for nobody
  Microseconds suspend_limit(const Crew& crew) const;
  void take_work(Crew& crew);
  void release(const Split& split);  // its small crews may have work
  bool waits_for_exit() const;
  // Crews that were retired there still have processes.
  bool must_wait_for(const std::vector<int>& slots) const;
  void suspend(Crew& crew);
  void retire(Crew& crew);

  // study_reshape.cc
  void reshape();  // what to begin; after work is given out
  void consider_growth();
  void grow(const Crew& from, const std::vector<Crew*>& joining);
  void consider_split();
  bool is_worth_suspending(const Crew& crew, std::size_t slots) const;
  bool is_reshaped(const Crew& crew) const;
  bool shares_slots(const Crew& crew) const;  // with another crew
  bool is_held(int trial) const;              // for the larger crew, while the processes of the old one end
  bool any_held() const;
  bool work_waits() const;
  double epochs_granted(int trial) const;  // still to be trained
  double epochs_to_come(int trial, std::size_t crews) const;
  ElasticTerms elastic_terms() const;
  void measure_takeover(const ReportReceived& report);
  void count_failed_takeover();

  const StudyOptions options;
  const std::unique_ptr<Sampler> sampler;
  StudyState state;
  CrewRoster crews;
  Shapes shapes;

  // Running attempts of a session before this one, whose crew has not joined this one yet. They are preempted
  // when nothing was heard of them until then.
  std::map<AttemptId, Microseconds> unconfirmed;

  // The search is over; what is left is to measure the best trial.
  struct Ending {
    StudyEnded::Reason reason;
    std::string message;
    int trial = 0;
    std::string crew;  // that measures it; empty: none yet
    int lost = 0;      // crews that died over it
    std::string lost_reason;
  };
  std::optional<Ending> ending;

  std::vector<Growth> growths;
  std::vector<Split> splits;
  std::map<std::string, Retired> retired;  // dismissed with work left; until they are gone
  std::set<std::string> held_back;         // idle crews that wait until these are gone from their slots
  std::map<std::string, Microseconds> suspending;  // crews that were told to suspend what they run, and when
  std::map<AttemptId, Microseconds> takeovers;     // without a report; when the crew before was suspended
  EpochTimes epoch_times;
  double takeover_seconds = 0;  // ElasticOptions::start_seconds, or as measured
  double handover_seconds = 0;

  bool live = false;  // replay is over
  bool stopping = false;
  std::string why_stopping;
  bool nothing_for_now = false;  // no event since choose_work() last said so
  Microseconds now{0};           // of the input in hand
  Reaction reaction;             // to the input in hand
};

}  // namespace regatta

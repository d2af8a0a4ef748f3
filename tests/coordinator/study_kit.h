// Small studies for tests: an experiment, the study made from it, and what came of its inputs so far.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/simulated_crews.h"
#include "coordinator/study.h"

namespace regatta {

// `search` is the body of the search section: "scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 4}".
Experiment make_experiment(const std::string& search, const std::string& objective = "{minimize: loss}");

std::unique_ptr<Study> make_study(const Experiment& experiment, const StudyOptions& options = {});

// All that a study shows, as text: equal texts mean equal studies.
std::string describe(const Study& study);

// What the store would hand back.
TimedEvent stored_and_read(const TimedEvent& event);
std::unique_ptr<Study> replayed(const Experiment& experiment, const StudyOptions& options,
                                std::span<const TimedEvent> events);

// Tells a study its inputs, a second apart, and keeps what came of them.
class Race {
 public:
  explicit Race(const std::string& search, const StudyOptions& options = {.evaluate_best = false},
                const std::string& objective = "{minimize: loss}");
  Race(Race&&) = delete;

  void tell(const Input& input);
  void join(const std::string& crew, int lanes = 1, std::vector<AttemptId> attempts = {});
  // The attempt's next epoch, with this loss.
  void report(AttemptId attempt, double loss);
  void report(AttemptId attempt, int epoch, Metrics metrics, const std::string& checkpoint);
  void finish(AttemptId attempt, Outcome outcome, const std::string& message = {},
              const std::string& checkpoint = {});
  void lose(const std::string& crew, bool preempted = false);
  void wait(Microseconds time) { now_ += time; }
  // The coordinator dies; a new one replays all events and resumes. With `search` the file has changed.
  void crash(bool retry_failed = false, const std::optional<std::string>& search = {});

  Study& study() { return *study_; }
  const Trial& trial(int number) const { return study_->trials()[static_cast<std::size_t>(number)]; }
  const TrialRecord& record(int number) const { return study_->records()[static_cast<std::size_t>(number)]; }
  std::vector<TrialState> states() const;
  Microseconds now() const { return now_; }
  const std::vector<TimedEvent>& events() const { return events_; }
  // Of the last input.
  const std::vector<Command>& commands() const { return commands_; }
  template <class Kind>
  std::vector<Kind> commands_of() const {
    std::vector<Kind> found;
    for (const Command& command : commands_) {
      if (const auto* kind = std::get_if<Kind>(&command)) {
        found.push_back(*kind);
      }
    }
    return found;
  }
  template <class Kind>
  std::vector<Kind> events_of() const {
    std::vector<Kind> found;
    for (const TimedEvent& event : events_) {
      if (const auto* kind = std::get_if<Kind>(&event.event)) {
        found.push_back(*kind);
      }
    }
    return found;
  }
  // Every checkpoint that the study ordered to delete, in order.
  const std::vector<std::string>& deleted() const { return deleted_; }

 private:
  void take(Reaction reaction);
  std::string crew_of(AttemptId attempt) const;

  std::string objective_;
  StudyOptions options_;
  std::unique_ptr<Experiment> experiment_;
  std::unique_ptr<Study> study_;
  Microseconds now_{std::chrono::hours(24)};
  std::vector<TimedEvent> events_;
  std::vector<Command> commands_;
  std::vector<std::string> deleted_;
};

}  // namespace regatta

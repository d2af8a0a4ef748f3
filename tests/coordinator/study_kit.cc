// What the tests of the study share.
#include "study_kit.h"

#include <fmt/format.h>

#include "base/check.h"

namespace regatta {

Experiment make_experiment(const std::string& search, const std::string& objective) {
  const std::string yaml = fmt::format(
      "name: kit\nseed: 5\nobjective: {}\nsearch: {{{}}}\n"
      "space:\n  x: {{float: [0, 1]}}\n  rate: {{float: [1e-5, 0.1], log: true}}\n  size: {{int: [1, 9], "
      "step: 2}}\n"
      "  kind: {{choice: [adam, null, true, 3, 0.5]}}\n  extra: {{float: [0, 1], when: size >= 5}}\n"
      "command: [train, $x, $rate, $size, $kind, $extra]\n",
      objective, search);
  auto experiment = parse_experiment(yaml, "kit.yaml");
  CHECK(experiment.ok(), experiment.error().message);
  return std::move(experiment).value();
}

std::unique_ptr<Study> make_study(const Experiment& experiment, const StudyOptions& options) {
  auto config = read_search(experiment);
  CHECK(config.ok(), config.error().message);
  auto sampler = make_sampler(config->sampler, {.space = &experiment.space, .seed = experiment.seed});
  CHECK(sampler.ok(), sampler.error().message);
  auto scheduler = make_scheduler(config->scheduler);
  CHECK(scheduler.ok(), scheduler.error().message);
  return std::make_unique<Study>(experiment, *config, std::move(sampler).value(),
                                 std::move(scheduler).value(), options);
}

namespace {

std::string describe(const Assignment& assignment) {
  if (const auto* start = std::get_if<StartTrial>(&assignment)) {
    return fmt::format("start bracket {} until {}", start->bracket, start->until_epoch);
  }
  if (const auto* resume = std::get_if<ResumeTrial>(&assignment)) {
    return fmt::format("resume {} until {}", resume->trial, resume->until_epoch);
  }
  return std::holds_alternative<NothingLeft>(assignment) ? "nothing left" : "wait";
}

std::string describe(const Trial& trial, const TrialRecord& record) {
  std::string text = fmt::format("trial {} {}", trial.number, to_string(trial.state));
  for (const auto& value : trial.point) {
    text += value ? fmt::format(" {}", *value) : " -";
  }
  for (const Score& score : trial.scores) {
    text += fmt::format(" {}:{}", score.epoch, score.values.front());
  }
  for (const double value : trial.values) {
    text += fmt::format(" value {}", value);
  }
  for (const Reported& report : record.reports) {
    text += fmt::format(" | {} {} {} {}", report.attempt, report.epoch, report.checkpoint, report.seconds);
    for (const auto& [name, value] : report.metrics) {
      text += fmt::format(" {}={}", name, value);
    }
  }
  return text + fmt::format(" | {} {} {} {} {} [{}] [{}] {} [{}] {} {}\n", record.bracket,
                            record.attempts_lost, record.attempt.value_or(0), record.crew, record.until_epoch,
                            record.checkpoint, record.best_checkpoint, record.best_epoch, record.message,
                            record.started.count(), record.ended.count());
}

}  // namespace

std::string describe(const Study& study) {
  std::string text;
  for (std::size_t i = 0; i < study.trials().size(); ++i) {
    text += describe(study.trials()[i], study.records()[i]);
  }
  text += fmt::format("best {} next {} elapsed {}\nended", study.best_trial().value_or(-1),
                      describe(study.scheduler().next()), study.elapsed(std::chrono::hours(1000)).count());
  for (const int trial : study.ended_trials()) {
    text += fmt::format(" {}", trial);
  }
  text += "\nfiles";
  for (const std::string& file : study.checkpoints()) {
    text += " " + file;
  }
  if (study.test()) {
    text += fmt::format("\ntest {} {}", study.test()->trial, study.test()->model);
  }
  if (study.ended()) {
    text += fmt::format("\nended {} {}", to_string(study.ended()->reason), study.ended()->message);
  }
  return text;
}

TimedEvent stored_and_read(const TimedEvent& event) {
  auto read = decode(encode(event.event));
  CHECK(read.ok(), read.error().message);
  return {.at = event.at, .event = std::move(read).value()};
}

std::unique_ptr<Study> replayed(const Experiment& experiment, const StudyOptions& options,
                                std::span<const TimedEvent> events) {
  auto study = make_study(experiment, options);
  for (const TimedEvent& event : events) {
    study->replay(stored_and_read(event));
  }
  return study;
}

Race::Race(const std::string& search, const StudyOptions& options, const std::string& objective)
    : objective_(objective),
      options_(options),
      experiment_(std::make_unique<Experiment>(make_experiment(search, objective))),
      study_(make_study(*experiment_, options)) {}

void Race::tell(const Input& input) {
  now_ += std::chrono::seconds(1);
  take(study_->handle(input, now_));
}

void Race::take(Reaction reaction) {
  events_.insert(events_.end(), reaction.events.begin(), reaction.events.end());
  commands_ = std::move(reaction.commands);
  for (const auto& command : commands_of<DeleteCheckpoint>()) {
    deleted_.push_back(command.checkpoint);
  }
}

void Race::join(const std::string& crew, int lanes, std::vector<AttemptId> attempts) {
  tell(CrewJoined{.crew = crew, .lanes = lanes, .attempts = std::move(attempts)});
}

void Race::report(AttemptId attempt, double loss) {
  for (const auto& started : events_of<AttemptStarted>()) {
    if (started.attempt == attempt) {
      const auto& reports = record(started.trial).reports;
      const int epoch = reports.empty() ? 1 : reports.back().epoch + 1;
      report(attempt, epoch, {{"loss", loss}}, fmt::format("t{}/e{}", started.trial, epoch));
      return;
    }
  }
  CHECK(false, "no such attempt");
}

void Race::report(AttemptId attempt, int epoch, Metrics metrics, const std::string& checkpoint) {
  tell(ReportReceived{.crew = crew_of(attempt),
                      .attempt = attempt,
                      .epoch = epoch,
                      .metrics = std::move(metrics),
                      .checkpoint = checkpoint,
                      .seconds = 1});
}

void Race::finish(AttemptId attempt, Outcome outcome, const std::string& message,
                  const std::string& checkpoint) {
  tell(AttemptFinished{.crew = crew_of(attempt),
                       .attempt = attempt,
                       .outcome = outcome,
                       .checkpoint = checkpoint,
                       .message = message});
}

void Race::lose(const std::string& crew, bool preempted) {
  tell(CrewLost{.crew = crew, .preempted = preempted, .reason = "killed by signal 9"});
}

void Race::crash(bool retry_failed, const std::optional<std::string>& search) {
  auto experiment =
      search ? std::make_unique<Experiment>(make_experiment(*search, objective_)) : std::move(experiment_);
  study_ = replayed(*experiment, options_, events_);
  experiment_ = std::move(experiment);
  now_ += std::chrono::seconds(1);
  take(study_->resume(retry_failed, now_));
}

std::vector<TrialState> Race::states() const {
  std::vector<TrialState> states;
  for (const Trial& trial : study_->trials()) {
    states.push_back(trial.state);
  }
  return states;
}

std::string Race::crew_of(AttemptId attempt) const {
  for (const auto& started : events_of<AttemptStarted>()) {
    if (started.attempt == attempt) {
      return started.crew;
    }
  }
  return "nobody";
}

}  // namespace regatta

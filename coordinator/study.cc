// What the study is told: checks each input against the state and records what it means.
#include "coordinator/study.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/seconds.h"
#include "base/text.h"
#include "coordinator/objectives.h"
#include "coordinator/study_implementation.h"

namespace regatta {
namespace {

std::string describe_divergence(const Experiment& experiment, const Reported& report) {
  for (const Objective& objective : experiment.objectives) {
    const double* value = find_metric(report.metrics, objective.metric);
    if (value != nullptr && !all_finite({*value})) {
      return fmt::format("{} became {} in epoch {}", objective.metric, *value, report.epoch);
    }
  }
  return {};
}

std::unique_ptr<Sampler> sampler_of(const Experiment& experiment, const SearchConfig& config) {
  auto sampler = make_sampler(config.sampler, search_context(experiment, config));
  CHECK(sampler.ok(), sampler.error().message);  // read_search made it once
  return std::move(sampler).value();
}

}  // namespace

Study::Implementation::Implementation(const Experiment& experiment, SearchConfig config,
                                      StudyOptions the_options)
    : options(std::move(the_options)),
      sampler(sampler_of(experiment, config)),
      state(experiment, std::move(config), options.kept_models),
      shapes(options.shape_of),
      epoch_times(options.elastic ? options.elastic->efficiency : 1),
      takeover_seconds(options.elastic ? options.elastic->start_seconds : 0),
      handover_seconds(options.elastic ? options.elastic->handover_seconds : 0) {}

Reaction Study::Implementation::handle(const Input& input, Microseconds time) {
  live = true;
  now = time;
  if (options.shape_of) {
    nothing_for_now = false;  // what fits no crew may fit one that joins or falls empty, which is no event
  }
  std::visit([this](const auto& what) { on(what); }, input);
  settle();
  return take_reaction();
}

Reaction Study::Implementation::resume(bool retry_failed, Microseconds time) {
  CHECK(!live, "a study is resumed once, before its first input");
  live = true;
  now = time;
  state.take_obsolete();  // deleted in the session that made them obsolete
  const auto ended = state.ended();
  if (ended && !may_go_on(retry_failed)) {
    return {};
  }
  emit(StudyResumed{.retry_failed = retry_failed});
  if (ended && ended->reason != StudyEnded::Reason::interrupted) {
    emit(SearchReopened{});  // the last scheduler has nothing left, or lost its paused trials
  }
  std::vector<AttemptId> due;
  for (const auto& [id, attempt] : state.attempts()) {
    if (attempt.due) {
      due.push_back(id);
    } else {
      unconfirmed[id] = now + options.lease;
    }
  }
  for (const AttemptId id : due) {
    end_attempt(id, *state.attempt(id)->due, {});
  }
  state.take_obsolete();
  return take_reaction();
}

void Study::Implementation::emit(Event event) {
  TimedEvent timed{.at = now, .event = std::move(event)};
  state.apply(timed);
  reaction.events.push_back(std::move(timed));
  nothing_for_now = false;
}

Reaction Study::Implementation::take_reaction() {
  for (std::string& checkpoint : state.take_obsolete()) {
    command(DeleteCheckpoint{.checkpoint = std::move(checkpoint)});
  }
  return std::exchange(reaction, {});
}

Crew* Study::Implementation::hear(const std::string& name) {
  Crew* crew = crews.find(name);
  if (crew == nullptr) {
    // It outlived a coordinator and has not joined again yet.
    for (auto& [id, deadline] : unconfirmed) {
      if (state.attempt(id)->crew == name) {
        deadline = now + options.lease;
      }
    }
    return nullptr;
  }
  crews.hear(*crew, now);
  for (const AttemptId id : std::exchange(crew->given_up, {})) {
    command(EndAttempt{.crew = name, .attempt = id, .reason = "the crew was silent for too long"});
  }
  return crew;
}

void Study::Implementation::on(const CrewJoined& input) {
  if (retired.contains(input.crew)) {
    command(DismissCrew{.crew = input.crew});
    return;
  }
  Crew& crew = crews.join(input.crew, input.lanes, now);
  crews.place(crew, input.slots);
  std::set<AttemptId> unknown = crew.attempts;  // to the crew
  crews.change(crew, [](Crew& changed) {
    changed.attempts.clear();
    changed.given_up.clear();
    changed.evaluating = false;
  });
  if (ending && ending->crew == input.crew) {
    ending->crew.clear();  // the order may not have reached it
  }
  for (const AttemptId id : input.attempts) {
    const RunningAttempt* attempt = state.attempt(id);
    if (attempt != nullptr && attempt->crew == input.crew) {
      adopt(crew, id);
    } else {
      command(EndAttempt{.crew = input.crew, .attempt = id, .reason = "the attempt has ended meanwhile"});
    }
  }
  for (const auto& [id, deadline] : unconfirmed) {
    if (state.attempt(id)->crew == input.crew) {
      unknown.insert(id);
    }
  }
  for (const AttemptId id : unknown) {
    if (!crew.attempts.contains(id)) {  // it names those too whose end has not been answered yet
      lose_attempt(id, Outcome::preempted, "the order to begin it did not reach its crew");
    }
  }
  if (state.ended()) {
    command(DismissCrew{.crew = input.crew});
  } else if (options.elastic && !stopping) {
    take_place(crew);
  }
}

void Study::Implementation::adopt(Crew& crew, AttemptId id) {
  unconfirmed.erase(id);
  epoch_times.began(id, state.attempt(id)->trial, static_cast<int>(crew.slots.size()), false, now);
  crews.change(crew, [&](Crew& changed) { changed.attempts.insert(id); });
  if (stopping) {
    command(SuspendAttempt{.crew = crew.name, .attempt = id});
  }
}

void Study::Implementation::on(const CrewHeard& input) { hear(input.crew); }

void Study::Implementation::on(const CrewLost& input) {
  std::set<AttemptId> lost;
  if (const Crew* crew = crews.find(input.crew)) {
    lost = crew->attempts;
  }
  for (const auto& [id, deadline] : unconfirmed) {
    if (state.attempt(id)->crew == input.crew) {
      lost.insert(id);
    }
  }
  for (const AttemptId id : lost) {
    lose_attempt(id, input.preempted ? Outcome::preempted : Outcome::lost, input.reason);
  }
  if (ending && ending->crew == input.crew) {
    ending->crew.clear();
    ending->lost += input.preempted ? 0 : 1;
    ending->lost_reason = input.reason;
  }
  crews.remove(input.crew);
  leave_place(input.crew);
}

void Study::Implementation::on(const ReportReceived& input) {
  Crew* crew = hear(input.crew);
  const RunningAttempt* attempt = state.attempt(input.attempt);
  if (attempt == nullptr || attempt->crew != input.crew) {
    command(EndAttempt{
        .crew = input.crew, .attempt = input.attempt, .reason = "the attempt has ended meanwhile"});
    return;
  }
  if (crew != nullptr && unconfirmed.contains(input.attempt)) {
    adopt(*crew, input.attempt);
  }
  take_report(input, *attempt);
}

void Study::Implementation::take_report(const ReportReceived& report, const RunningAttempt& attempt) {
  const int trial = attempt.trial;
  const TrialRecord& record = state.records().at(static_cast<std::size_t>(trial));
  AnswerReport answer{.crew = report.crew, .attempt = report.attempt, .epoch = report.epoch};
  if (!record.reports.empty() && report.epoch <= record.reports.back().epoch) {
    // Sent again because its answer was lost, or trained again from an older checkpoint: stored once.
    answer.until_epoch = record.until_epoch;
    command(answer);
    return;
  }
  answer.action = AnswerReport::Action::end;
  if (report.epoch < 1) {
    end_attempt(report.attempt, Outcome::failed,
                fmt::format("a report names epoch {}; epochs count from 1", report.epoch));
    command(answer);
    return;
  }
  if (!objective_values(state.experiment(), report.metrics)) {
    end_attempt(report.attempt, Outcome::failed,
                describe_missing_objective(state.experiment(), report.metrics));
    command(answer);
    return;
  }
  const Reported reported{.attempt = report.attempt,
                          .trial = trial,
                          .epoch = report.epoch,
                          .metrics = report.metrics,
                          .checkpoint = report.checkpoint,
                          .seconds = report.seconds,
                          .card = report.card};
  emit(reported);
  measure_takeover(report);
  epoch_times.reported(report.attempt, report.seconds, now);
  std::optional<Outcome> outcome = attempt.due;
  if (outcome != Outcome::diverged && state.reaches_target(trial)) {
    outcome = Outcome::complete;  // so that it is the best trial, whatever the scheduler thinks of it
  }
  if (outcome) {
    end_attempt(report.attempt, *outcome,
                outcome == Outcome::diverged ? describe_divergence(state.experiment(), reported) : "");
  } else {
    answer.action = AnswerReport::Action::go_on;
    answer.until_epoch = record.until_epoch;
  }
  command(answer);
}

void Study::Implementation::on(const AttemptFinished& input) {
  Crew* crew = hear(input.crew);
  const RunningAttempt* attempt = state.attempt(input.attempt);
  if (attempt == nullptr || attempt->crew != input.crew) {
    return;  // ended here already; the crew expects no answer
  }
  const Trial& trial = state.trials().at(static_cast<std::size_t>(attempt->trial));
  switch (input.outcome) {
    case Outcome::lost:
      lose_attempt(input.attempt, Outcome::lost, input.message);
      return;
    case Outcome::complete:
      if (trial.scores.empty()) {
        end_attempt(input.attempt, Outcome::failed,
                    fmt::format("the trial ended by itself without having reported '{}'",
                                state.experiment().objectives.front().metric));
        return;
      }
      break;
    case Outcome::interrupted:
    case Outcome::preempted:
      if (crew != nullptr && !stopping) {
        crews.change(*crew, [](Crew& changed) { changed.leaving = true; });
      }
      break;
    case Outcome::diverged:
    case Outcome::failed:
    case Outcome::invalid:
      break;
    case Outcome::paused:
    case Outcome::stopped:
      CHECK(false, "only the study pauses or stops a trial");
  }
  end_attempt(input.attempt, input.outcome, input.message, input.checkpoint);
}

void Study::Implementation::on(const LaneFree& input) {
  if (retired.contains(input.crew)) {
    return;  // the order to leave is on its way
  }
  crew_has_data(input.crew);
  Crew* crew = hear(input.crew);
  if (crew == nullptr || crew->leaving || crew->lanes != input.lanes) {
    crews.join(input.crew, input.lanes, now);
  }
  if (state.ended()) {
    command(DismissCrew{.crew = input.crew});
  }
}

void Study::Implementation::on(const EvaluationDone& input) {
  if (Crew* crew = hear(input.crew)) {
    crews.change(*crew, [](Crew& changed) { changed.evaluating = false; });
  }
  if (!ending || ending->trial != input.trial) {
    return;  // measured already, by another crew
  }
  if (input.error.empty()) {
    emit(TestMeasured{.trial = input.trial, .metrics = input.metrics, .model = input.model});
    end_study(ending->reason, ending->message);
  } else {
    end_study(ending->reason, fmt::format("the best model, of trial {}, could not be measured: {}",
                                          input.trial, valid_text(input.error)));
  }
}

void Study::Implementation::on(const Woke&) {
  crews.renew(now);
  for (auto& [id, deadline] : unconfirmed) {
    deadline = now + options.lease;
  }
  renew_limits();
}

void Study::Implementation::on(const Tick&) {
  for (Crew* crew : crews.fall_silent(now - options.lease)) {
    give_up(*crew);
  }
  std::vector<AttemptId> expired;
  for (const auto& [id, deadline] : unconfirmed) {
    if (deadline <= now) {
      expired.push_back(id);
    }
  }
  for (const AttemptId id : expired) {
    lose_attempt(id, Outcome::preempted, "its crew did not come back");
  }
}

void Study::Implementation::give_up(Crew& crew) {
  const std::set<AttemptId> attempts = crew.attempts;
  for (const AttemptId id : attempts) {
    crew.given_up.push_back(id);
    lose_attempt(id, Outcome::lost,
                 fmt::format("nothing was heard of crew {} for {}", crew.name,
                             format_duration(in_seconds(options.lease))));
  }
  if (ending && ending->crew == crew.name) {
    ending->crew.clear();
    ++ending->lost;
    ending->lost_reason = "nothing was heard of the crew";
    crews.change(crew, [](Crew& changed) { changed.evaluating = false; });
  }
}

void Study::Implementation::on(const StopRequested& input) {
  if (stopping || state.ended()) {
    return;
  }
  stopping = true;
  why_stopping = input.why;
  std::vector<AttemptId> out_of_reach;
  for (const auto& [id, attempt] : state.attempts()) {
    if (unconfirmed.contains(id)) {
      out_of_reach.push_back(id);
    } else {
      command(SuspendAttempt{.crew = attempt.crew, .attempt = id});
    }
  }
  for (const AttemptId id : out_of_reach) {
    lose_attempt(id, Outcome::preempted, "the study was stopped before its crew came back");
  }
}

void Study::Implementation::end_attempt(AttemptId id, Outcome outcome, std::string message,
                                        const std::string& checkpoint) {
  const RunningAttempt attempt = *state.attempt(id);
  emit(AttemptEnded{.attempt = id,
                    .trial = attempt.trial,
                    .outcome = outcome,
                    .checkpoint = checkpoint,
                    .message = valid_text(std::move(message))});
  unconfirmed.erase(id);
  takeovers.erase(id);
  epoch_times.ended(id);
  if (Crew* crew = crews.find(attempt.crew)) {
    crews.change(*crew, [&](Crew& changed) { changed.attempts.erase(id); });
  }
}

void Study::Implementation::lose_attempt(AttemptId id, Outcome outcome, const std::string& reason) {
  const auto& record = state.records().at(static_cast<std::size_t>(state.attempt(id)->trial));
  if (outcome == Outcome::lost && record.attempts_lost + 1 >= options.max_attempts) {
    end_attempt(id, Outcome::failed,
                fmt::format("lost {} times, the last time because: {}", record.attempts_lost + 1, reason));
  } else {
    end_attempt(id, outcome, reason);
  }
}

Study::Study(const Experiment& experiment, SearchConfig config, StudyOptions options)
    : implementation_(std::make_unique<Implementation>(experiment, std::move(config), std::move(options))) {}

Study::Study(Study&& other) noexcept = default;
Study::~Study() = default;

Reaction Study::handle(const Input& input, Microseconds now) { return implementation_->handle(input, now); }
void Study::replay(const TimedEvent& event) {
  CHECK(!implementation_->live, "events are replayed before the first input");
  implementation_->state.apply(event);
}
Reaction Study::resume(bool retry_failed, Microseconds now) {
  return implementation_->resume(retry_failed, now);
}

std::span<const Trial> Study::trials() const { return implementation_->state.trials(); }
std::span<const TrialRecord> Study::records() const { return implementation_->state.records(); }
std::span<const int> Study::ended_trials() const { return implementation_->state.ended_trials(); }
std::optional<int> Study::best_trial() const { return implementation_->state.best_trial(); }
std::vector<std::string> Study::checkpoints() const { return implementation_->state.checkpoints(); }
const std::optional<StudyEnded>& Study::ended() const { return implementation_->state.ended(); }
const std::optional<TestMeasured>& Study::test() const { return implementation_->state.test(); }
const Experiment& Study::experiment() const { return implementation_->state.experiment(); }
const SearchConfig& Study::config() const { return implementation_->state.config(); }
const Scheduler& Study::scheduler() const { return implementation_->state.scheduler(); }
std::optional<int> Study::trial_limit() const { return implementation_->trial_limit(); }
Microseconds Study::elapsed(Microseconds now) const { return implementation_->state.elapsed(now); }

}  // namespace regatta

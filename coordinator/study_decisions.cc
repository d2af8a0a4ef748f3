// What a crew with a free lane does next, and when and how a study ends.
#include <fmt/format.h>

#include <set>
#include <utility>

#include "base/check.h"
#include "base/seconds.h"
#include "base/text.h"
#include "coordinator/study_implementation.h"

namespace regatta {
namespace {

// So many failures before anything has worked are the experiment's mistake, not the trials'.
constexpr int kAlikeFailures = 5;
constexpr int kInvalidPoints = 20;
constexpr int kInvalidPointsPerTrial = 10;

}  // namespace

void Study::Implementation::settle() {
  if (state.ended()) {
    return;
  }
  if (stopping) {
    if (state.attempts().empty()) {
      end_study(StudyEnded::Reason::interrupted, why_stopping);
    }
    return;
  }
  if (!ending) {
    look_for_end();
  }
  if (options.elastic && !state.ended()) {
    take_over();
  }
  if (!ending && !state.ended()) {
    serve();
  }
  if (options.elastic && !ending && !state.ended()) {
    reshape();
  }
  if (ending) {
    evaluate();
  }
}

// Crews that find no work stay idle and are served here again once something has changed. The end of the
// search is found here too, and needs no crew.
void Study::Implementation::serve() {
  while (!nothing_for_now && !ending && !state.ended()) {
    if (crews.next_idle() != nullptr) {
      nothing_for_now = !serve_one();
      continue;
    }
    if (!state.attempts().empty()) {
      return;
    }
    const Work work = choose_work({});
    if (std::holds_alternative<Done>(work)) {
      finish(StudyEnded::Reason::finished, {});
    } else if (std::holds_alternative<WaitForReports>(work)) {
      nothing_for_now = true;
    } else {
      return;
    }
  }
}

// A crew that runs something takes trials of the same shape only; so each shape is offered what there is.
bool Study::Implementation::serve_one() {
  std::set<int> offered;
  for (Crew* crew = crews.next_idle(); crew != nullptr; crew = crews.next_partly_idle(*crew)) {
    const Shape shape = shape_of(*crew);
    if (shape && !offered.insert(*shape).second) {
      continue;
    }
    const Work work = choose_work(shape);
    if (std::holds_alternative<Done>(work)) {
      finish(StudyEnded::Reason::finished, {});
      return true;
    }
    if (!std::holds_alternative<WaitForReports>(work) && carry_out(*crew, work)) {
      return true;
    }
  }
  return false;
}

Study::Implementation::Shape Study::Implementation::shape_of(const Crew& crew) {
  if (crew.attempts.empty()) {
    return std::nullopt;
  }
  return shapes.of(state.trials(), state.attempt(*crew.attempts.begin())->trial);
}

Study::Implementation::Work Study::Implementation::choose_work(Shape shape) {
  for (const int trial : state.waiting()) {
    if (fits(trial, shape) && !is_held(trial)) {
      return Retry{.trial = trial};
    }
  }
  while (true) {
    const Assignment next = state.scheduler().next();
    if (const auto* resume = std::get_if<ResumeTrial>(&next)) {
      return fits(resume->trial, shape) ? Work(*resume) : Work(WaitForReports{});
    }
    if (const auto* start = std::get_if<StartTrial>(&next)) {
      const Work work = choose_new_trial(*start);
      if (std::holds_alternative<Done>(work)) {
        continue;  // now closed: the scheduler has something else to say
      }
      return work;
    }
    if (!state.attempts().empty() || any_held()) {
      return WaitForReports{};
    }
    if (std::holds_alternative<WaitForReports>(next) && !state.closed()) {
      emit(SearchClosed{.exhausted = !limit_reached()});  // nobody is left to report
    } else if (!reopen_search()) {
      return Done{};
    }
  }
}

// Done: no new trial may be started, and the scheduler has been told.
Study::Implementation::Work Study::Implementation::choose_new_trial(const StartTrial& assignment) {
  CHECK(!state.closed(), "a closed scheduler starts no trials");
  if (!state.unstarted().empty() || !limit_reached()) {
    return assignment;
  }
  if (state.unproven() > 0 && !state.attempts().empty()) {
    return WaitForReports{};  // one of them may turn out invalid, and then does not count
  }
  emit(SearchClosed{});
  return Done{};
}

// The limit of trials has been raised since the search was closed, or failed trials want a new place.
bool Study::Implementation::reopen_search() {
  const bool wanted = !state.unstarted().empty() || (!limit_reached() && !state.exhausted());
  if (!state.closed() || !wanted) {
    return false;
  }
  emit(SearchReopened{});
  return true;
}

bool Study::Implementation::carry_out(Crew& crew, const Work& work) {
  if (const auto* start = std::get_if<StartTrial>(&work)) {
    return carry_out_start(crew, *start);
  }
  if (const auto* retry = std::get_if<Retry>(&work)) {
    start_attempt(crew, retry->trial, state.records().at(static_cast<std::size_t>(retry->trial)).until_epoch);
  } else if (const auto* resume = std::get_if<ResumeTrial>(&work)) {
    start_attempt(crew, resume->trial, resume->until_epoch);
  }
  return true;
}

// Trials are proposed in the order of their numbers, but a crew of several lanes starts those first that fit
// what it runs. A few more than can be started are proposed for that; they wait for their turn.
bool Study::Implementation::carry_out_start(Crew& crew, const StartTrial& assignment) {
  const Shape shape = shape_of(crew);
  auto trial = find_unstarted(shape, assignment);
  if (!trial) {
    const std::size_t events = reaction.events.size();
    trial = propose(crew, shape, assignment);
    if (!trial) {
      return reaction.events.size() > events && state.closed();
    }
  }
  // A retried trial goes on where it was, which may be further than a new one is granted; one with a parent
  // where that was.
  const auto& record = state.records().at(static_cast<std::size_t>(*trial));
  const Trial& begun = state.trials().at(static_cast<std::size_t>(record.inherits ? *record.parent : *trial));
  const int next_epoch = begun.scores.empty() ? 1 : begun.scores.back().epoch + 1;
  const bool has_moved = record.started == Microseconds{0} && record.bracket != assignment.bracket;
  start_attempt(crew, *trial, std::max(assignment.until_epoch, next_epoch),
                has_moved ? std::optional(assignment.bracket) : std::nullopt);
  return true;
}

// The scheduler's own point, or the child of a trial, is not to be replaced by a point that waits.
std::optional<int> Study::Implementation::find_unstarted(Shape shape, const StartTrial& assignment) {
  const bool is_any = (!assignment.point && !assignment.parent) || limit_reached();
  for (const int trial : state.unstarted()) {
    const bool is_retried = state.records()[static_cast<std::size_t>(trial)].started != Microseconds{0};
    if ((is_any || is_retried) && fits(trial, shape)) {
      return trial;
    }
  }
  return std::nullopt;
}

// Until one fits. Nothing: none did, or there are no more points.
std::optional<int> Study::Implementation::propose(Crew& crew, Shape shape, const StartTrial& assignment) {
  if (assignment.point && shape && shapes.of(*assignment.point) != *shape) {
    return std::nullopt;
  }
  const auto may_propose = [&] {  // ahead of what fits, as many as there are lanes
    return assignment.point || !shape || static_cast<int>(state.unstarted().size()) < crew.lanes;
  };
  while (!limit_reached() && may_propose()) {
    const int number = static_cast<int>(state.trials().size());
    auto point = assignment.point ? assignment.point : sampler->propose(state.trials(), number);
    if (!point) {
      if (state.unstarted().empty()) {
        emit(SearchClosed{.exhausted = true});
      }
      return std::nullopt;
    }
    CHECK(state.experiment().space.contains(*point), "a scheduler's point lies in the space");
    emit(TrialProposed{.trial = number,
                       .point = *std::move(point),
                       .bracket = assignment.bracket,
                       .parent = assignment.parent});
    if (fits(number, shape)) {
      return number;
    }
  }
  return std::nullopt;
}

void Study::Implementation::start_attempt(Crew& crew, int trial, int until_epoch,
                                          std::optional<int> bracket) {
  const AttemptId id = state.next_attempt();
  const std::string checkpoint = state.records().at(static_cast<std::size_t>(trial)).checkpoint;
  emit(AttemptStarted{.attempt = id,
                      .trial = trial,
                      .crew = crew.name,
                      .until_epoch = until_epoch,
                      .checkpoint = checkpoint,
                      .bracket = bracket});
  command(StartAttempt{.crew = crew.name,
                       .attempt = id,
                       .trial = trial,
                       .point = state.trials().at(static_cast<std::size_t>(trial)).point,
                       .until_epoch = until_epoch,
                       .checkpoint = checkpoint});
  crews.change(crew, [&](Crew& changed) { changed.attempts.insert(id); });
  const auto& reports = state.records()[static_cast<std::size_t>(trial)].reports;
  const bool whole = checkpoint == (reports.empty() ? "" : reports.back().checkpoint);
  epoch_times.began(id, trial, static_cast<int>(crew.slots.size()), whole, now);
}

void Study::Implementation::look_for_end() {
  if (auto why = hopeless()) {
    end_running();
    const auto reason = state.best_when_ended() ? StudyEnded::Reason::finished : StudyEnded::Reason::failed;
    finish(reason, *std::move(why));
  } else if (state.target_reached()) {
    end_running();
    finish(StudyEnded::Reason::target_reached, {});
  } else if (time_over()) {
    end_running();
    finish(StudyEnded::Reason::time_over, {});
  }
}

std::optional<std::string> Study::Implementation::hopeless() const {
  const EarlyFailures& early = state.early_failures();
  if (!early.any_value && early.alike >= kAlikeFailures) {
    return fmt::format("the first {} trials failed alike: {}", early.alike, early.message);
  }
  if (!early.any_valid && early.invalid >= kInvalidPoints) {
    return fmt::format("none of the first {} points can be built; the last one: {}", early.invalid,
                       early.invalid_message);
  }
  const auto limit = trial_limit();
  if (limit &&
      early.invalid > std::max<std::int64_t>(kInvalidPoints, std::int64_t{*limit} * kInvalidPointsPerTrial)) {
    return fmt::format("{} points cannot be built, too many for {} trials; the last one: {}", early.invalid,
                       *limit, early.invalid_message);
  }
  return std::nullopt;
}

bool Study::Implementation::time_over() const {
  const auto& hours = state.config().stop.hours;
  return hours && in_seconds(state.elapsed(now)) >= *hours * 3600;
}

void Study::Implementation::end_running() {
  const auto attempts = state.attempts();
  for (const auto& [id, attempt] : attempts) {
    end_attempt(id, state.reaches_target(attempt.trial) ? Outcome::complete : Outcome::stopped, {});
    command(EndAttempt{.crew = attempt.crew, .attempt = id, .reason = "the study ends"});
  }
}

void Study::Implementation::finish(StudyEnded::Reason reason, std::string message) {
  const auto best = state.best_when_ended();
  if (!best && reason != StudyEnded::Reason::failed) {
    reason = StudyEnded::Reason::failed;
    message = "no trial has reported a value";
    if (!state.last_failure().empty()) {
      message += "; the last one that failed: " + state.last_failure();
    }
  }
  if (!best || !is_to_be_measured(*best)) {
    end_study(reason, std::move(message));
    return;
  }
  if (model_of(*best).empty()) {
    end_study(reason, fmt::format("trial {}, the best, left no checkpoint to measure", *best));
    return;
  }
  ending = Ending{.reason = reason, .message = std::move(message), .trial = *best};
}

void Study::Implementation::evaluate() {
  if (!ending->crew.empty()) {
    return;
  }
  if (ending->lost >= options.max_attempts) {
    end_study(ending->reason,
              fmt::format("the best model, of trial {}, could not be measured: {} crews were lost over it, "
                          "the last one because: {}",
                          ending->trial, ending->lost, ending->lost_reason));
    return;
  }
  Crew* crew = crews.next_idle();
  if (crew == nullptr) {
    return;
  }
  ending->crew = crew->name;
  crews.change(*crew, [](Crew& changed) { changed.evaluating = true; });
  command(EvaluateTrial{.crew = crew->name,
                        .trial = ending->trial,
                        .point = state.trials().at(static_cast<std::size_t>(ending->trial)).point,
                        .checkpoint = model_of(ending->trial)});
}

const std::string& Study::Implementation::model_of(int trial) const {
  const TrialRecord& record = state.records().at(static_cast<std::size_t>(trial));
  return record.best_checkpoint.empty() ? record.checkpoint : record.best_checkpoint;
}

bool Study::Implementation::is_to_be_measured(int trial) const {
  return options.evaluate_best && !(state.test() && state.test()->trial == trial);
}

void Study::Implementation::end_study(StudyEnded::Reason reason, std::string message) {
  ending.reset();
  emit(StudyEnded{.reason = reason, .message = std::move(message)});
  for (std::string& crew : crews.names()) {
    command(DismissCrew{.crew = std::move(crew)});
  }
}

bool Study::Implementation::may_go_on(bool retry_failed) const {
  if (state.ended()->reason == StudyEnded::Reason::interrupted) {
    return true;
  }
  const auto best = state.best_when_ended();
  if (best && is_to_be_measured(*best) && !model_of(*best).empty()) {
    return true;  // crews were lost over it, or what kept it from being measured may be mended now
  }
  if (state.target_reached() || time_over()) {
    return false;
  }
  return (retry_failed && !state.retryable().empty()) || !state.unstarted().empty() ||
         (!state.exhausted() && !limit_reached());
}

std::optional<int> Study::Implementation::trial_limit() const {
  const StopRule& stop = state.config().stop;
  if (stop.trials || stop.hours || stop.target) {
    return stop.trials;
  }
  const int natural = state.scheduler().trials_per_round();
  return natural > 0 ? std::optional(natural) : std::nullopt;
}

bool Study::Implementation::limit_reached() const {
  const auto limit = trial_limit();
  return limit && state.counted() >= *limit;
}

}  // namespace regatta

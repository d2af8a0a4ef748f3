// Applying events to the state of a study.
#include "coordinator/study_state.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "base/check.h"
#include "coordinator/objectives.h"

namespace regatta {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::optional<Outcome> outcome_of(const Verdict& verdict) {
  switch (verdict.action) {
    case Verdict::Action::go_on:
      return std::nullopt;
    case Verdict::Action::pause:
      return Outcome::paused;
    case Verdict::Action::stop:
      return Outcome::stopped;
    case Verdict::Action::complete:
      return Outcome::complete;
  }
  return std::nullopt;
}

}  // namespace

StudyState::StudyState(const Experiment& experiment, SearchConfig config, int kept_models)
    : experiment_(experiment),
      config_(std::move(config)),
      scheduler_(fresh_scheduler()),
      kept_models_(static_cast<std::size_t>(std::max(1, kept_models))),  // one is evaluated at the end
      best_value_(kInfinity) {}

std::unique_ptr<Scheduler> StudyState::fresh_scheduler() const {
  auto scheduler = make_scheduler(config_.scheduler, search_context(experiment_, config_));
  CHECK(scheduler.ok(), scheduler.error().message);  // read_search made it once
  return std::move(scheduler).value();
}

void StudyState::apply(const TimedEvent& event) {
  now_ = event.at;
  if (std::holds_alternative<StudyResumed>(event.event)) {
    // The time between sessions is not running time.
    elapsed_before_ = elapsed(last_event_);
    session_start_ = now_;
  } else if (!session_start_) {
    session_start_ = now_;
  }
  last_event_ = std::max(last_event_, now_);
  std::visit([this](const auto& what) { on(what); }, event.event);
}

void StudyState::on(const TrialProposed& event) {
  CHECK(event.trial == static_cast<int>(trials_.size()), "trials are numbered without gaps");
  trials_.push_back({.number = event.trial, .point = event.point});
  records_.push_back({.bracket = event.bracket, .parent = event.parent});
  best_checkpoint_values_.push_back(kInfinity);
  proven_.push_back(false);
  unstarted_.insert(event.trial);
  ++unproven_;
  if (event.parent) {
    // The file is the child's, too, until it has one of its own.
    TrialRecord& record = records_.back();
    record.checkpoint = records_.at(static_cast<std::size_t>(*event.parent)).checkpoint;
    record.inherits = !record.checkpoint.empty();
    checkpoints_.add(event.trial, record.checkpoint);
  }
}

void StudyState::on(const AttemptStarted& event) {
  CHECK(event.attempt == next_attempt(), "attempts are numbered without gaps");
  Trial& trial = trials_.at(static_cast<std::size_t>(event.trial));
  TrialRecord& record = records_[static_cast<std::size_t>(event.trial)];
  CHECK(!record.attempt, "a trial runs once at a time");
  if (unstarted_.erase(event.trial) > 0) {
    start_with_scheduler(event);
  } else if (paused_.erase(event.trial) > 0) {
    scheduler_->started(trial, ResumeTrial{.trial = event.trial, .until_epoch = event.until_epoch});
  } else {
    CHECK(waiting_.erase(event.trial) > 0, "only a trial that wants a crew is started");
  }
  last_attempt_ = event.attempt;
  attempts_[event.attempt] = {.trial = event.trial, .crew = event.crew};
  trial.state = TrialState::running;
  record.attempt = event.attempt;
  record.crew = event.crew;
  record.until_epoch = event.until_epoch;
  if (record.started == Microseconds{0}) {
    record.started = now_;
  }
}

// What the scheduler said of a new trial stands in the events: it is not asked again, because its answer may
// have cost the fit of a model. A retried trial may have trained further than a new one is granted, so that
// what the scheduler said need not be what the event says; the scheduler has not changed since it said it.
void StudyState::start_with_scheduler(const AttemptStarted& event) {
  const Trial& trial = trials_[static_cast<std::size_t>(event.trial)];
  TrialRecord& record = records_[static_cast<std::size_t>(event.trial)];
  if (record.started == Microseconds{0}) {
    record.bracket = event.bracket.value_or(record.bracket);
    scheduler_->started(trial, StartTrial{.bracket = record.bracket,
                                          .until_epoch = event.until_epoch,
                                          .point = {},
                                          .parent = record.parent});
    return;
  }
  const Assignment next = scheduler_->next();
  const auto* start = std::get_if<StartTrial>(&next);
  const StartTrial assignment =
      start != nullptr ? *start : StartTrial{.bracket = record.bracket, .until_epoch = event.until_epoch};
  record.bracket = assignment.bracket;
  scheduler_->started(trial, assignment);
}

void StudyState::on(const Reported& event) {
  RunningAttempt& attempt = attempts_.at(event.attempt);
  TrialRecord& record = records_.at(static_cast<std::size_t>(event.trial));
  CHECK(record.reports.empty() || record.reports.back().epoch < event.epoch, "each epoch is reported once");
  record.reports.push_back(event);
  auto values = objective_values(experiment_, event.metrics);
  CHECK(values.has_value(), "a report without the objective is not an event");
  prove_valid(event.trial);
  checkpoints_.add(event.trial, event.checkpoint);
  if (!all_finite(*values)) {
    attempt.due = Outcome::diverged;
    return;
  }
  take_score(event, *std::move(values));
  const Ruling ruling = scheduler_->reported(trials_[static_cast<std::size_t>(event.trial)]);
  attempt.due = outcome_of(ruling.verdict);
  if (!attempt.due) {
    record.until_epoch = ruling.verdict.until_epoch;
  } else if (std::find(ruling.dropped.begin(), ruling.dropped.end(), event.trial) != ruling.dropped.end()) {
    attempt.due = Outcome::stopped;  // paused and at once without a future
  }
  drop(ruling.dropped);
  collect_checkpoints(event.trial);
}

void StudyState::take_score(const Reported& event, std::vector<double> values) {
  Trial& trial = trials_[static_cast<std::size_t>(event.trial)];
  TrialRecord& record = records_[static_cast<std::size_t>(event.trial)];
  const double value = values.front();
  // With one objective trial.values is the best so far, with several the latest.
  const bool best_of_trial =
      values.size() == 1 ? trial.values.empty() || value < trial.values.front()
                         : std::all_of(trial.scores.begin(), trial.scores.end(),
                                       [&](const Score& score) { return value < score.values.front(); });
  if (best_of_trial) {
    record.best_epoch = event.epoch;
  }
  if (best_of_trial || values.size() > 1) {
    trial.values = values;
  }
  trial.scores.push_back({.epoch = event.epoch, .values = std::move(values)});
  best_value_ = std::min(best_value_, value);
  early_failures_.any_value = true;
  take_checkpoint(event.trial, event.checkpoint, value);
}

void StudyState::take_checkpoint(int trial, const std::string& checkpoint, std::optional<double> value) {
  if (checkpoint.empty()) {
    return;
  }
  TrialRecord& record = records_[static_cast<std::size_t>(trial)];
  double& best = best_checkpoint_values_[static_cast<std::size_t>(trial)];
  checkpoints_.add(trial, checkpoint);
  // An attempt that ends before it has saved anything names the file that it began with.
  record.inherits = record.inherits && checkpoint == record.checkpoint;
  record.checkpoint = checkpoint;
  if (value && *value < best) {
    best = *value;
    record.best_checkpoint = checkpoint;
  }
}

void StudyState::on(const AttemptEnded& event) {
  const auto attempt = attempts_.find(event.attempt);
  CHECK(attempt != attempts_.end(), "only a running attempt ends");
  // A verdict comes from the scheduler itself and is not told again.
  const bool scheduler_knows = attempt->second.due.has_value() && *attempt->second.due != Outcome::diverged;
  attempts_.erase(attempt);
  Trial& trial = trials_.at(static_cast<std::size_t>(event.trial));
  TrialRecord& record = records_[static_cast<std::size_t>(event.trial)];
  record.attempt.reset();
  record.crew.clear();
  record.message = event.message;
  if (event.outcome != Outcome::diverged) {
    take_checkpoint(event.trial, event.checkpoint, std::nullopt);
  } else {
    checkpoints_.add(event.trial, event.checkpoint);
  }
  switch (event.outcome) {
    case Outcome::lost:
      ++record.attempts_lost;
      [[fallthrough]];
    case Outcome::preempted:
    case Outcome::interrupted:
      wait_again(event.trial);
      break;
    case Outcome::paused:
      trial.state = TrialState::paused;
      paused_.insert(event.trial);
      break;
    case Outcome::stopped:  // also when the whole study ends: no scheduler needs to know
      end_trial(event.trial, TrialState::stopped);
      break;
    case Outcome::complete:
      end_trial(event.trial, TrialState::complete);
      break;
    case Outcome::failed:
      retryable_.insert(event.trial);
      [[fallthrough]];
    case Outcome::diverged:
      end_trial(event.trial, TrialState::failed);
      break;
    case Outcome::invalid:
      ++invalid_;
      end_trial(event.trial, TrialState::invalid);
      break;
  }
  if (has_ended(trial.state)) {
    count_early_failure(event);
    if (trial.state == TrialState::failed || trial.state == TrialState::invalid) {
      last_failure_ = event.message;
    }
    if (!scheduler_knows && trial.state != TrialState::stopped) {
      drop(scheduler_->ended(trial));
    }
  }
  collect_checkpoints(event.trial);
}

void StudyState::on(const TestMeasured& event) { test_ = event; }

void StudyState::on(const StudyEnded& event) {
  CHECK(attempts_.empty(), "attempts end before their study");
  elapsed_before_ = elapsed(now_);
  session_start_.reset();
  ended_ = event;
  if (event.reason == StudyEnded::Reason::interrupted) {
    return;  // everything waits to go on
  }
  std::set<int> open;
  for (const auto* trials : {&paused_, &waiting_}) {
    open.insert(trials->begin(), trials->end());
  }
  // What was proposed ahead and never begun is still to be done, should the study go on.
  std::ranges::copy_if(unstarted_, std::inserter(open, open.end()), [this](int trial) {
    return records_[static_cast<std::size_t>(trial)].started != Microseconds{0};
  });
  for (const int trial : open) {
    end_trial(trial, TrialState::stopped);
    collect_checkpoints(trial);
  }
}

void StudyState::on(const StudyResumed& event) {
  ended_.reset();
  early_failures_ = {};
  early_failures_.any_value = early_failures_.any_valid = best_value_ < kInfinity;
  if (!event.retry_failed) {
    return;
  }
  for (const int trial : std::exchange(retryable_, {})) {
    TrialRecord& record = records_[static_cast<std::size_t>(trial)];
    trials_[static_cast<std::size_t>(trial)].state = TrialState::waiting;
    record.attempts_lost = 0;
    record.ended = Microseconds{0};
    unstarted_.insert(trial);  // its place was given away: it needs a new one
  }
}

void StudyState::on(const SearchClosed& event) {
  closed_ = true;
  exhausted_ = event.exhausted;
  drop(scheduler_->closed());
}

void StudyState::on(const SearchReopened&) {
  scheduler_ = fresh_scheduler();
  closed_ = false;
  exhausted_ = false;
}

void StudyState::wait_again(int trial) {
  trials_[static_cast<std::size_t>(trial)].state = TrialState::waiting;
  waiting_.insert(trial);
}

void StudyState::prove_valid(int trial) {
  early_failures_.any_valid = true;
  if (!proven_[static_cast<std::size_t>(trial)]) {
    proven_[static_cast<std::size_t>(trial)] = true;
    --unproven_;
  }
}

void StudyState::end_trial(int trial, TrialState state) {
  paused_.erase(trial);
  waiting_.erase(trial);
  unstarted_.erase(trial);
  if (!proven_[static_cast<std::size_t>(trial)]) {
    proven_[static_cast<std::size_t>(trial)] = true;
    --unproven_;
  }
  trials_[static_cast<std::size_t>(trial)].state = state;
  records_[static_cast<std::size_t>(trial)].ended = now_;
  ended_trials_.push_back(trial);
  rank(trial);
}

void StudyState::count_early_failure(const AttemptEnded& event) {
  if (event.outcome == Outcome::invalid) {
    ++early_failures_.invalid;
    early_failures_.invalid_message = event.message;
    return;
  }
  early_failures_.any_valid = true;
  if (event.outcome != Outcome::failed) {
    early_failures_.alike = 0;
  } else if (event.message == early_failures_.message) {
    ++early_failures_.alike;
  } else {
    early_failures_.alike = 1;
    early_failures_.message = event.message;
  }
}

StudyState::Rank StudyState::rank_of(const Trial& trial, bool stopped) {
  return {stopped, trial.values.front(), trial.number};
}

void StudyState::rank(int trial) {
  const Trial& ended = trials_[static_cast<std::size_t>(trial)];
  const bool counts = ended.state == TrialState::complete || ended.state == TrialState::stopped;
  if (!counts || ended.values.empty()) {
    return;
  }
  ranking_.insert(rank_of(ended, ended.state == TrialState::stopped));
  if (ranking_.size() > kept_models_) {
    const int worst = std::get<int>(*ranking_.rbegin());
    ranking_.erase(std::prev(ranking_.end()));
    collect_checkpoints(worst);
  }
}

// Paused trials that can no longer be promoted.
void StudyState::drop(const std::vector<int>& trials) {
  for (const int trial : trials) {
    if (paused_.contains(trial)) {
      end_trial(trial, TrialState::stopped);
      collect_checkpoints(trial);
    }
  }
}

void StudyState::collect_checkpoints(int trial) {
  const Trial& of = trials_[static_cast<std::size_t>(trial)];
  TrialRecord& record = records_[static_cast<std::size_t>(trial)];
  std::vector<std::string> needed;
  if (!has_ended(of.state)) {
    needed = {record.checkpoint, record.best_checkpoint};
  } else if (of.state == TrialState::failed && retryable_.contains(trial)) {
    needed = {record.checkpoint};
  } else if (!record.inherits && !of.values.empty() &&
             ranking_.contains(rank_of(of, of.state == TrialState::stopped))) {
    needed = {record.best_checkpoint.empty() ? record.checkpoint : record.best_checkpoint};
  }
  checkpoints_.keep_only(trial, needed);
  for (std::string* known : {&record.checkpoint, &record.best_checkpoint}) {
    if (std::find(needed.begin(), needed.end(), *known) == needed.end()) {
      known->clear();
    }
  }
  if (record.best_checkpoint.empty()) {
    best_checkpoint_values_[static_cast<std::size_t>(trial)] = kInfinity;
  }
}

std::optional<int> StudyState::best_trial() const {
  return ranking_.empty() ? std::nullopt : std::optional(std::get<int>(*ranking_.begin()));
}

std::optional<int> StudyState::best_when_ended() const {
  std::optional<Rank> best = ranking_.empty() ? std::nullopt : std::optional(*ranking_.begin());
  for (const auto* trials : {&paused_, &waiting_, &unstarted_}) {
    for (const int trial : *trials) {
      const Trial& open = trials_[static_cast<std::size_t>(trial)];
      if (!open.values.empty()) {
        const Rank rank = rank_of(open, true);
        best = best ? std::min(*best, rank) : rank;
      }
    }
  }
  return best ? std::optional(std::get<int>(*best)) : std::nullopt;
}

Microseconds StudyState::elapsed(Microseconds now) const {
  return elapsed_before_ +
         (session_start_ ? std::max(now - *session_start_, Microseconds{0}) : Microseconds{0});
}

const RunningAttempt* StudyState::attempt(AttemptId id) const {
  const auto found = attempts_.find(id);
  return found == attempts_.end() ? nullptr : &found->second;
}

bool StudyState::reaches_target(int trial) const {
  const auto& values = trials_.at(static_cast<std::size_t>(trial)).values;
  return config_.stop.target && !values.empty() &&
         values.front() <= in_user_direction(experiment_.objectives.front(), *config_.stop.target);
}

bool StudyState::target_reached() const {
  return config_.stop.target &&
         best_value_ <= in_user_direction(experiment_.objectives.front(), *config_.stop.target);
}

}  // namespace regatta

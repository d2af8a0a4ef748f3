// The decisions follow those of the coordinator's study, where crews, losses and retries are left out.
#include "search/ask_tell.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace regatta {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

std::size_t index_of(int trial) { return static_cast<std::size_t>(trial); }

template <class Made>
Made made_from(Result<Made> result) {
  CHECK(result.ok(), result.error().message);  // read_search made it once
  return std::move(result).value();
}

}  // namespace

AskTell::AskTell(const Experiment& experiment, const SearchConfig& config)
    : AskTell(experiment, config.stop,
              made_from(make_sampler(config.sampler, search_context(experiment, config))),
              made_from(make_scheduler(config.scheduler, search_context(experiment, config)))) {}

AskTell::AskTell(const Experiment& experiment, const StopRule& stop, std::unique_ptr<Sampler> sampler,
                 std::unique_ptr<Scheduler> scheduler)
    : experiment_(experiment),
      stop_(stop),
      sampler_(std::move(sampler)),
      scheduler_(std::move(scheduler)),
      best_value_(kInfinity) {}

AskTell::Answer AskTell::ask() {
  if (reaches_target(best_value_)) {
    return Done{};
  }
  while (true) {
    const Assignment next = scheduler_->next();
    if (const auto* paused = std::get_if<ResumeTrial>(&next)) {
      return resume(*paused);
    }
    if (const auto* fresh = std::get_if<StartTrial>(&next)) {
      CHECK(!closed_, "a closed scheduler starts no trials");
      if (!limit_reached()) {
        if (auto work = start(*fresh)) {
          return *std::move(work);
        }
        continue;  // the space is exhausted, and the scheduler knows it now
      }
      if (unproven_ > 0 && !open_.empty()) {
        return nothing_now();  // one of them may turn out invalid, and then does not count
      }
      close();
      continue;
    }
    if (!open_.empty()) {
      return closed_ ? nothing_now() : NothingNow{};
    }
    if (std::holds_alternative<NothingLeft>(next) || closed_) {
      return Done{};
    }
    close();  // it waits for trials that nobody is left to start
  }
}

// When no new trial will be started: one that was granted all epochs cannot be paused any more, and so brings
// no more work.
AskTell::Answer AskTell::nothing_now() const {
  const bool may_pause = std::any_of(open_.begin(), open_.end(), [&](int trial) {
    return progress_[index_of(trial)].until_epoch < scheduler_->max_epochs();
  });
  if (may_pause || !paused_.empty()) {
    return NothingNow{};
  }
  return Done{};
}

// nullopt: the space is exhausted.
std::optional<AskTell::Work> AskTell::start(const StartTrial& assignment) {
  const int number = static_cast<int>(trials_.size());
  std::optional<Point> point = assignment.point;
  if (!point) {
    point = sampler_->propose(trials_, number);
  }
  if (!point) {
    close();
    return std::nullopt;
  }
  trials_.push_back({.number = number, .point = *std::move(point), .state = TrialState::running});
  Progress progress{.until_epoch = assignment.until_epoch, .parent = assignment.parent};
  if (assignment.parent) {
    const auto& scores = trials_.at(index_of(*assignment.parent)).scores;
    progress.from_epoch = scores.empty() ? 0 : scores.back().epoch;
  }
  progress_.push_back(progress);
  open_.insert(number);
  ++unproven_;
  scheduler_->started(trials_.back(), assignment);
  return work_of(number);
}

AskTell::Work AskTell::resume(const ResumeTrial& assignment) {
  const int trial = assignment.trial;
  CHECK(paused_.erase(trial) > 0, "only a paused trial is resumed");
  open_.insert(trial);
  trials_[index_of(trial)].state = TrialState::running;
  Progress& progress = progress_[index_of(trial)];
  progress.from_epoch = trials_[index_of(trial)].scores.back().epoch;
  progress.until_epoch = assignment.until_epoch;
  progress.resumed = true;
  scheduler_->started(trials_[index_of(trial)], assignment);
  return work_of(trial);
}

AskTell::Work AskTell::work_of(int trial) const {
  const Progress& progress = progress_[index_of(trial)];
  return {.trial = trial,
          .point = trials_[index_of(trial)].point,
          .from_epoch = progress.from_epoch,
          .until_epoch = progress.until_epoch,
          .resumed = progress.resumed,
          .parent = progress.resumed ? std::nullopt : progress.parent};
}

void AskTell::close() {
  closed_ = true;
  drop(scheduler_->closed());
}

bool AskTell::limit_reached() const {
  return stop_.trials && static_cast<int>(trials_.size()) - invalid_ >= *stop_.trials;
}

bool AskTell::reaches_target(double value) const {
  return stop_.target && value <= in_user_direction(experiment_.objectives.front(), *stop_.target);
}

Result<std::vector<double>> AskTell::minimized(const std::vector<double>& values) const {
  const auto& objectives = experiment_.objectives;
  if (values.size() != objectives.size()) {
    return user_mistake(fmt::format("expected {} value{}, one for each objective, not {}", objectives.size(),
                                    objectives.size() == 1 ? "" : "s", values.size()));
  }
  std::vector<double> minimized;
  for (std::size_t i = 0; i < values.size(); ++i) {
    minimized.push_back(in_user_direction(objectives[i], values[i]));
  }
  return minimized;
}

bool AskTell::was_ended_by_search(int trial) const {
  return knows(trial) && progress_[index_of(trial)].ended_by_search;
}

Status AskTell::check_open(int trial) const {
  if (!knows(trial)) {
    return user_mistake(fmt::format("there is no trial {}", trial));
  }
  const TrialState state = trials_[index_of(trial)].state;
  if (has_ended(state)) {
    return user_mistake(fmt::format("trial {} has ended: it is {}", trial, to_string(state)));
  }
  if (state == TrialState::paused) {
    return user_mistake(
        fmt::format("trial {} is paused: go on with it when it is handed out by ask again", trial));
  }
  return {};
}

Status AskTell::check_epoch(int trial, int epoch) const {
  const auto& scores = trials_[index_of(trial)].scores;
  const int last = std::max(progress_[index_of(trial)].from_epoch, scores.empty() ? 0 : scores.back().epoch);
  if (epoch <= last) {
    return user_mistake(
        fmt::format("trial {} has trained {} epochs: expected a later one, not {}", trial, last, epoch));
  }
  if (epoch == kUnlimitedEpochs) {
    return user_mistake(fmt::format("expected an epoch below {}", epoch));
  }
  return {};
}

Result<AskTell::Decision> AskTell::report(int trial, int epoch, const std::vector<double>& values) {
  RETURN_IF_ERROR(check_open(trial));
  RETURN_IF_ERROR(check_epoch(trial, epoch));
  ASSIGN_OR_RETURN(std::vector<double> scored, minimized(values));
  prove_valid(trial);
  if (!all_finite(scored)) {
    end(trial, TrialState::failed);
    progress_[index_of(trial)].ended_by_search = true;
    drop(scheduler_->ended(trials_[index_of(trial)]));
    return Decision{.action = Decision::Action::stop};
  }
  take_score(trial, epoch, std::move(scored));
  return carry_out(trial, judge(trial));
}

// The scheduler's verdict on the newest score. Once the target is reached the search has ended, whatever the
// scheduler thinks of it; the trial that reached it is complete, so that it is the best one.
Verdict AskTell::judge(int trial) {
  const Trial& scored = trials_[index_of(trial)];
  const Ruling ruling = scheduler_->reported(scored);
  drop(ruling.dropped);
  if (reaches_target(best_value_)) {
    const bool by_this_trial = reaches_target(scored.values.front());
    return {.action = by_this_trial ? Verdict::Action::complete : Verdict::Action::stop};
  }
  if (std::find(ruling.dropped.begin(), ruling.dropped.end(), trial) != ruling.dropped.end()) {
    return {.action = Verdict::Action::stop};  // paused and at once without a future
  }
  return ruling.verdict;
}

AskTell::Decision AskTell::carry_out(int trial, const Verdict& verdict) {
  Progress& progress = progress_[index_of(trial)];
  switch (verdict.action) {
    case Verdict::Action::go_on:
      progress.until_epoch = verdict.until_epoch;
      return {.action = Decision::Action::go_on, .until_epoch = verdict.until_epoch};
    case Verdict::Action::pause:
      trials_[index_of(trial)].state = TrialState::paused;
      open_.erase(trial);
      paused_.insert(trial);
      return {.action = Decision::Action::pause};
    case Verdict::Action::stop:
    case Verdict::Action::complete:
      break;
  }
  const bool complete = verdict.action == Verdict::Action::complete;
  end(trial, complete ? TrialState::complete : TrialState::stopped);
  progress.ended_by_search = true;
  return {.action = Decision::Action::stop};
}

// The told values are the trial's last score unless that was reported already.
Status AskTell::tell(int trial, const std::vector<double>& values) {
  if (was_ended_by_search(trial)) {
    RETURN_IF_ERROR(minimized(values));
    return {};
  }
  RETURN_IF_ERROR(check_open(trial));
  ASSIGN_OR_RETURN(std::vector<double> last, minimized(values));
  if (!all_finite(last)) {
    return give_up(trial, Failure::failed);
  }
  const auto& scores = trials_[index_of(trial)].scores;
  if (scores.empty() || scores.back().values != last) {
    const int epoch = scores.empty() ? progress_[index_of(trial)].from_epoch : scores.back().epoch;
    take_score(trial, epoch + 1, std::move(last));
  }
  end(trial, TrialState::complete);
  drop(scheduler_->ended(trials_[index_of(trial)]));
  return {};
}

Status AskTell::give_up(int trial, Failure why) {
  if (why == Failure::failed && was_ended_by_search(trial)) {
    return {};
  }
  RETURN_IF_ERROR(check_open(trial));
  if (why == Failure::invalid && !trials_[index_of(trial)].scores.empty()) {
    return user_mistake(fmt::format("trial {} has reported values: it can fail, but not be invalid", trial));
  }
  invalid_ += why == Failure::invalid ? 1 : 0;
  end(trial, why == Failure::invalid ? TrialState::invalid : TrialState::failed);
  drop(scheduler_->ended(trials_[index_of(trial)]));
  return {};
}

void AskTell::take_score(int trial, int epoch, std::vector<double> values) {
  Trial& scored = trials_[index_of(trial)];
  if (values.size() > 1 || scored.values.empty() || values.front() < scored.values.front()) {
    scored.values = values;
  }
  best_value_ = std::min(best_value_, values.front());
  scored.scores.push_back({.epoch = epoch, .values = std::move(values)});
}

void AskTell::prove_valid(int trial) {
  if (!std::exchange(progress_[index_of(trial)].proven, true)) {
    --unproven_;
  }
}

void AskTell::end(int trial, TrialState state) {
  prove_valid(trial);
  open_.erase(trial);
  paused_.erase(trial);
  trials_[index_of(trial)].state = state;
}

// Paused trials that can no longer be promoted.
void AskTell::drop(const std::vector<int>& trials) {
  for (const int trial : trials) {
    if (paused_.contains(trial)) {
      end(trial, TrialState::stopped);
      progress_[index_of(trial)].ended_by_search = true;
    }
  }
}

std::vector<AskTell::Work> AskTell::open() const {
  std::vector<Work> open;
  for (const int trial : open_) {
    open.push_back(work_of(trial));
  }
  return open;
}

std::optional<int> AskTell::best() const {
  std::optional<std::tuple<int, double, int>> best;
  for (const Trial& trial : trials_) {
    if (trial.values.empty() || trial.state == TrialState::failed) {
      continue;
    }
    const int rank = trial.state == TrialState::complete ? 0 : trial.state == TrialState::stopped ? 1 : 2;
    const std::tuple candidate{rank, trial.values.front(), trial.number};
    best = best ? std::min(*best, candidate) : candidate;
  }
  return best ? std::optional(std::get<2>(*best)) : std::nullopt;
}

}  // namespace regatta

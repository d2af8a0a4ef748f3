// Brackets open in the order s_max, …, 0, s_max, … whenever a crew is free and no open bracket has work for
// it, so that the wait at the end of a rung is filled with the next bracket.
#include "search/schedulers/hyperband.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "search/schedulers/bracket.h"
#include "search/schedulers/ladder.h"

namespace regatta {
namespace {

class Hyperband final : public Scheduler {
 public:
  explicit Hyperband(const LadderOptions& options)
      : max_epochs_(options.max_epochs), round_(hyperband_round(rungs_below_max(options), options.eta)) {}

  Assignment next() const override;
  void started(const Trial& trial, const Assignment& assignment) override;
  Ruling reported(const Trial& trial) override;
  std::vector<int> ended(const Trial& trial) override;
  std::vector<int> closed() override;

  std::vector<RungPlan> plan() const override;
  int max_epochs() const override { return max_epochs_; }
  int trials_per_round() const override;

 private:
  const std::vector<RungPlan>& rungs_of(int bracket) const {
    return round_[static_cast<std::size_t>(bracket) % round_.size()];
  }
  // Brings the index sets up to date after a fact about one bracket, and forgets it when it is done.
  void refresh(int bracket);

  int max_epochs_;
  std::vector<std::vector<RungPlan>> round_;
  int next_bracket_ = 0;
  bool closed_ = false;
  std::map<int, Bracket> brackets_;  // open ones
  std::set<int> vacant_;             // open brackets that want a new trial
  std::set<int> resumable_;          // open brackets with a trial to resume
  std::map<int, int> bracket_of_;    // by trial, until the trial is out
  std::set<int> running_;
};

Assignment Hyperband::next() const {
  if (!resumable_.empty()) {
    const Bracket& bracket = brackets_.at(*resumable_.begin());
    return ResumeTrial{.trial = *bracket.resumable(), .until_epoch = bracket.budget()};
  }
  if (!closed_) {
    const int bracket = vacant_.empty() ? next_bracket_ : *vacant_.begin();
    return StartTrial{.bracket = bracket, .until_epoch = rungs_of(bracket).front().epochs};
  }
  if (!running_.empty()) {
    return WaitForReports{};
  }
  return NothingLeft{};
}

void Hyperband::started(const Trial& trial, const Assignment& assignment) {
  const int number = trial.number;
  if (const auto* resume = std::get_if<ResumeTrial>(&assignment)) {
    CHECK(resume->trial == number);
    const int home = bracket_of_.at(number);
    brackets_.at(home).resume(number);
    running_.insert(number);
    refresh(home);
    return;
  }
  const int home = std::get<StartTrial>(assignment).bracket;
  CHECK(home <= next_bracket_ && !closed_);
  if (home == next_bracket_) {
    brackets_.emplace(home, Bracket(rungs_of(home)));
    ++next_bracket_;
  }
  brackets_.at(home).start(number);
  bracket_of_[number] = home;
  running_.insert(number);
  refresh(home);
}

Ruling Hyperband::reported(const Trial& trial) {
  const int number = trial.number;
  const Score& score = trial.scores.back();
  const int home = bracket_of_.at(number);
  Bracket& bracket = brackets_.at(home);
  CHECK(bracket.place(number) == Bracket::Place::running, "a report of a trial that does not run");
  if (score.epoch < bracket.budget()) {
    return {.verdict = {.action = Verdict::Action::go_on, .until_epoch = bracket.budget()}};
  }

  const bool finished = score.epoch >= max_epochs_;
  Ruling ruling;
  ruling.dropped = bracket.score(number, score.epoch, score.values, finished);
  std::erase(ruling.dropped, number);  // the reporter learns it by its verdict
  if (finished) {
    ruling.verdict.action = Verdict::Action::complete;
  } else if (bracket.place(number) == Bracket::Place::promoted) {
    bracket.resume(number);
    ruling.verdict = {.action = Verdict::Action::go_on, .until_epoch = bracket.budget()};
  } else {
    const bool waits = bracket.place(number) == Bracket::Place::scored;
    ruling.verdict.action = waits ? Verdict::Action::pause : Verdict::Action::stop;
  }
  if (ruling.verdict.action != Verdict::Action::go_on) {
    running_.erase(number);
  }
  refresh(home);
  return ruling;
}

// A complete trial competes with its last value to the end of its bracket. An invalid one never trained: its
// place is free again. All others rank last in their rung.
std::vector<int> Hyperband::ended(const Trial& trial) {
  const int number = trial.number;
  const auto found = bracket_of_.find(number);
  if (found == bracket_of_.end()) {
    return {};
  }
  const int home = found->second;
  Bracket& bracket = brackets_.at(home);
  const bool runs = bracket.place(number) == Bracket::Place::running;
  running_.erase(number);
  std::vector<int> dropped;
  if (trial.state == TrialState::complete && runs && !trial.scores.empty()) {
    const Score& last = trial.scores.back();
    dropped = bracket.score(number, last.epoch, last.values, true);
  } else if (trial.state == TrialState::invalid) {
    dropped = bracket.remove(number);
  } else {
    dropped = bracket.fail(number);
  }
  refresh(home);
  return dropped;
}

std::vector<int> Hyperband::closed() {
  closed_ = true;
  std::vector<int> open;
  for (const auto& [number, bracket] : brackets_) {
    open.push_back(number);
  }
  std::vector<int> dropped;
  for (const int number : open) {
    const std::vector<int> losers = brackets_.at(number).close();
    dropped.insert(dropped.end(), losers.begin(), losers.end());
    refresh(number);
  }
  std::sort(dropped.begin(), dropped.end());
  return dropped;
}

void Hyperband::refresh(int number) {
  const Bracket& bracket = brackets_.at(number);
  const auto keep = [number](std::set<int>& numbers, bool wanted) {
    wanted ? static_cast<void>(numbers.insert(number)) : static_cast<void>(numbers.erase(number));
  };
  keep(vacant_, bracket.has_vacancy());
  keep(resumable_, bracket.resumable().has_value());
  if (bracket.done()) {
    std::erase_if(bracket_of_, [number](const auto& home) { return home.second == number; });
    brackets_.erase(number);
  }
}

std::vector<RungPlan> Hyperband::plan() const {
  std::vector<RungPlan> rungs;
  for (const auto& bracket : round_) {
    rungs.insert(rungs.end(), bracket.begin(), bracket.end());
  }
  return rungs;
}

int Hyperband::trials_per_round() const {
  int trials = 0;
  for (const auto& bracket : round_) {
    trials += bracket.front().trials;
  }
  return trials;
}

}  // namespace

Result<std::unique_ptr<Scheduler>> make_hyperband(const Typed& config, const SearchContext& /*context*/) {
  Section section(config.options, "the hyperband scheduler");
  const LadderOptions options = read_ladder(section);
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(std::make_unique<Hyperband>(options));
}

}  // namespace regatta

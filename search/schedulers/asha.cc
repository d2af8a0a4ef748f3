// Both rules keep the same rungs and differ in the verdict. No rung holds max_epochs: there a trial is
// complete.
#include "search/schedulers/asha.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "search/schedulers/ladder.h"
#include "search/schedulers/rank_stability.h"
#include "search/schedulers/ranked_rung.h"

namespace regatta {
namespace {

enum class Rule { promotion, stopping };

struct AshaOptions {
  Rule rule = Rule::promotion;
  LadderOptions ladder;  // its eta is the factor between rungs
  RungOptions rung;
  int brackets = 1;
  bool progressive = false;  // with the promotion rule and one bracket
};

class Asha final : public Scheduler {
 public:
  explicit Asha(const AshaOptions& options);

  Assignment next() const override;
  void started(const Trial& trial, const Assignment& assignment) override;
  Ruling reported(const Trial& trial) override;
  std::vector<int> ended(const Trial& trial) override;
  std::vector<int> closed() override;

  std::vector<RungPlan> plan() const override;
  int max_epochs() const override { return epochs_.back(); }
  int trials_per_round() const override { return 0; }

 private:
  struct Ladder {
    std::vector<RankedRung> rungs;  // for all but the last of epochs_; the lowest b of bracket b stay empty
    int share = 1;                  // of the new trials
    int started = 0;
  };
  struct Progress {
    int bracket = 0;
    std::size_t rung = 0;  // the next to reach; epochs_.size() - 1: the end
    bool running = true;
  };
  struct Promotion {
    int trial = 0;
    std::size_t rung = 0;  // it is to reach
  };

  std::optional<Promotion> best_promotion() const;
  int bracket_for_new_trial() const;
  RankedRung& rung(const Progress& progress, std::size_t index) {
    return ladders_[static_cast<std::size_t>(progress.bracket)].rungs[index];
  }
  void promote(int trial, Progress& progress);
  void grow_if_unstable(const Trial& trial, std::size_t rung);
  void leave(int trial);

  Rule rule_;
  std::vector<int> epochs_;
  std::size_t height_;              // rungs of epochs_ in use, those of the end included
  std::vector<Ladder> ladders_;     // by bracket
  std::map<int, Progress> trials_;  // running and paused ones
  int running_ = 0;
  bool closed_ = false;

  // Of a ladder that still grows: the values of each rung, and the noise of the curves above the first.
  std::vector<std::map<int, double>> values_;
  RankingNoise noise_;
};

// A bracket's share of the trials is the number that Hyperband gives to the ladder of the same height, by the
// factor between the rungs.
Asha::Asha(const AshaOptions& options)
    : rule_(options.rule),
      epochs_(rungs_above_min(options.ladder)),
      height_(options.progressive ? std::min<std::size_t>(2, epochs_.size()) : epochs_.size()),
      values_(epochs_.size()) {
  const auto round = hyperband_round(epochs_, options.ladder.eta);
  for (std::size_t b = 0; b < static_cast<std::size_t>(options.brackets); ++b) {
    const std::vector<RankedRung> rungs(epochs_.size() - 1, RankedRung(options.rung));
    ladders_.push_back({.rungs = rungs, .share = round[b].front().trials});
  }
}

Assignment Asha::next() const {
  if (const auto promotion = best_promotion()) {
    return ResumeTrial{.trial = promotion->trial, .until_epoch = epochs_[promotion->rung]};
  }
  if (!closed_) {
    const int bracket = bracket_for_new_trial();
    return StartTrial{.bracket = bracket, .until_epoch = epochs_[static_cast<std::size_t>(bracket)]};
  }
  if (running_ > 0) {
    return WaitForReports{};
  }
  return NothingLeft{};
}

std::optional<Asha::Promotion> Asha::best_promotion() const {
  for (std::size_t index = height_ - 1; index-- > 0;) {
    for (const Ladder& ladder : ladders_) {
      if (const auto best = ladder.rungs[index].promotable()) {
        return Promotion{.trial = *best, .rung = index + 1};
      }
    }
  }
  return std::nullopt;
}

// The bracket whose count is furthest behind its share; the lowest of equals.
int Asha::bracket_for_new_trial() const {
  const auto further_behind = [](const Ladder& a, const Ladder& b) {
    return std::int64_t{a.started + 1} * b.share < std::int64_t{b.started + 1} * a.share;
  };
  return static_cast<int>(std::min_element(ladders_.begin(), ladders_.end(), further_behind) -
                          ladders_.begin());
}

void Asha::started(const Trial& trial, const Assignment& assignment) {
  if (std::holds_alternative<ResumeTrial>(assignment)) {
    Progress& progress = trials_.at(trial.number);
    CHECK(!progress.running);
    promote(trial.number, progress);
    ++running_;
    return;
  }
  const int bracket = std::get<StartTrial>(assignment).bracket;
  const Progress fresh{.bracket = bracket, .rung = static_cast<std::size_t>(bracket)};
  CHECK(trials_.emplace(trial.number, fresh).second, "a trial starts once");
  ++ladders_[static_cast<std::size_t>(bracket)].started;
  ++running_;
}

void Asha::promote(int trial, Progress& progress) {
  rung(progress, progress.rung - 1).remove_candidate(trial);
  progress.running = true;
}

// A report counts in every rung that it crosses. Under `stopping` each of them must keep the trial. Under
// `promotion` the trial stands for promotion in the highest; where the crew would be sent back to the same
// trial at once, it simply goes on, which saves a checkpoint and its way back.
Ruling Asha::reported(const Trial& trial) {
  const int number = trial.number;
  const Score& score = trial.scores.back();
  Progress& progress = trials_.at(number);
  CHECK(progress.running, "a report of a trial that does not run");

  const std::size_t first = progress.rung;
  bool kept = true;
  while (progress.rung + 1 < epochs_.size() && score.epoch >= epochs_[progress.rung]) {
    RankedRung& reached = rung(progress, progress.rung);
    reached.record(number, score.values);
    grow_if_unstable(trial, progress.rung);
    kept = kept && (reached.in_top(number) || reached.has_no_top());
    ++progress.rung;
  }
  if (score.epoch >= max_epochs()) {
    leave(number);
    return {.verdict = {.action = Verdict::Action::complete}};
  }
  const Verdict go_on{.action = Verdict::Action::go_on, .until_epoch = epochs_[progress.rung]};
  if (progress.rung == first) {
    return {.verdict = go_on};
  }
  if (rule_ == Rule::stopping) {
    if (kept) {
      return {.verdict = go_on};
    }
    leave(number);
    return {.verdict = {.action = Verdict::Action::stop}};
  }
  rung(progress, progress.rung - 1).add_candidate(number);
  if (const auto best = best_promotion(); best && best->trial == number) {
    promote(number, progress);
    return {.verdict = go_on};
  }
  progress.running = false;
  --running_;
  return {.verdict = {.action = Verdict::Action::pause}};
}

// A complete trial counts with its last value in every rung above; an invalid one in none. All others rank
// last in the rung that they were to reach. A paused trial keeps its scores, but is no candidate any more.
std::vector<int> Asha::ended(const Trial& trial) {
  const auto found = trials_.find(trial.number);
  if (found == trials_.end()) {
    return {};
  }
  const Progress progress = found->second;
  leave(trial.number);
  if (!progress.running || trial.state == TrialState::invalid) {
    return {};
  }
  const bool complete = trial.state == TrialState::complete && !trial.scores.empty();
  const Objectives values = complete ? trial.scores.back().values : Objectives();
  const std::size_t end = complete ? epochs_.size() - 1 : std::min(progress.rung + 1, epochs_.size() - 1);
  for (std::size_t index = progress.rung; index < end; ++index) {
    rung(progress, index).record(trial.number, values);
  }
  return {};
}

// The rungs of a ladder that has grown to max_epochs need no watching.
void Asha::grow_if_unstable(const Trial& trial, std::size_t rung) {
  if (height_ == epochs_.size()) {
    return;
  }
  values_[rung][trial.number] = trial.scores.back().values.front();
  if (rung == 0) {
    return;
  }
  noise_.update(trial.number, trial.scores);
  if (rung + 1 == height_ && !same_ranking(values_[rung - 1], values_[rung], noise_.value())) {
    ++height_;
  }
}

void Asha::leave(int trial) {
  const auto found = trials_.find(trial);
  if (found->second.running) {
    --running_;
  } else {
    promote(trial, found->second);
  }
  trials_.erase(found);
}

// Drops nobody: every report of a running trial can widen the top of its rung by one, and so promote a trial
// that is paused now. When nothing runs and nobody can be promoted, next() says NothingLeft.
std::vector<int> Asha::closed() {
  closed_ = true;
  return {};
}

std::vector<RungPlan> Asha::plan() const {
  std::vector<RungPlan> rungs;
  for (std::size_t b = 0; b < ladders_.size(); ++b) {
    for (std::size_t index = b; index < epochs_.size(); ++index) {
      rungs.push_back({.bracket = static_cast<int>(b), .epochs = epochs_[index], .trials = 0});
    }
  }
  return rungs;
}

}  // namespace

Result<std::unique_ptr<Scheduler>> make_asha(const Typed& config, const SearchContext& /*context*/) {
  Section section(config.options, "the asha scheduler");
  AshaOptions options;
  options.rule = section.choice("rule", {"promotion", "stopping"}, "promotion") == "promotion"
                     ? Rule::promotion
                     : Rule::stopping;
  options.ladder = read_ladder(section);
  options.rung = {.eta = options.ladder.eta, .leader = section.flag("leader", false)};
  options.ladder.eta =
      static_cast<int>(section.integer("growth", {.fallback = options.rung.eta, .min = 2, .max = kMaxEta}));
  if (options.rung.leader && options.rule == Rule::stopping) {
    section.mistake(section.child("leader")->place(),
                    "rule: stopping never ends the best trial of a rung; leave out `leader`");
  }
  options.brackets = static_cast<int>(section.integer("brackets", {.fallback = 1, .min = 1, .max = 100}));
  if (const Node* node = section.child("brackets"); node != nullptr) {
    const auto rungs = rungs_above_min(options.ladder).size();
    if (static_cast<std::size_t>(options.brackets) > rungs) {
      section.mistake(node->place(), fmt::format("expected at most {} brackets, one for each rung", rungs));
    }
  }
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(std::make_unique<Asha>(options));
}

Result<std::unique_ptr<Scheduler>> make_pasha(const Typed& config, const SearchContext& context) {
  if (context.objectives > 1) {
    return mistake_at(config.place, "the pasha scheduler takes one objective; choose asha or hyperband");
  }
  Section section(config.options, "the pasha scheduler");
  AshaOptions options{.progressive = true};
  options.ladder = read_ladder(section);
  options.rung.eta = options.ladder.eta;
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(std::make_unique<Asha>(options));
}

}  // namespace regatta

// Facts only feed the surrogate; the work is done when a crew asks, so that replaying a study costs nothing.
#include "search/schedulers/freeze_thaw.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/check.h"
#include "base/random.h"
#include "search/schedulers/curve_surrogate.h"
#include "search/schedulers/ladder.h"

namespace regatta {
namespace {

constexpr double kStepGrowth = 1.4;
constexpr std::size_t kFewestInitial = 4;
constexpr std::size_t kMostInitial = 8;
constexpr std::size_t kExactOutlooks = 10;  // of paused trials; the others are passed over on a rough one
constexpr int kCandidates = 24;             // few, because the model is trusted only a little
constexpr std::size_t kElite = 5;           // trials near which candidates lie
constexpr double kLeastReach = 0.02;        // of candidates around them, in the unit cube
constexpr double kReachRatio = 15;
constexpr double kHope = 0.05;  // the chance below which a trial is given up when the study closes

struct FreezeThawOptions {
  EpochRange epochs;
  bool own_points = true;
};

std::vector<int> steps(const EpochRange& epochs) {
  std::vector<int> budgets;
  for (double epoch = epochs.min_epochs; std::lround(epoch) < epochs.max_epochs;) {
    budgets.push_back(static_cast<int>(std::lround(epoch)));
    epoch = std::max(static_cast<double>(budgets.back() + 1), std::round(budgets.back() * kStepGrowth));
  }
  budgets.push_back(epochs.max_epochs);
  return budgets;
}

class FreezeThaw final : public Scheduler {
 public:
  FreezeThaw(const FreezeThawOptions& options, const SearchContext& context)
      : space_(context.space),
        own_points_(options.own_points),
        budgets_(steps(options.epochs)),
        random_(context.seed, "freeze-thaw"),
        initial_(
            std::max(std::clamp(context.space->size(), kFewestInitial, kMostInitial), context.known.size())),
        surrogate_(*context.space, budgets_) {}

  Assignment next() const override;
  void started(const Trial& trial, const Assignment& assignment) override;
  Ruling reported(const Trial& trial) override;
  std::vector<int> ended(const Trial& trial) override;
  std::vector<int> closed() override;

  std::vector<RungPlan> plan() const override;
  int max_epochs() const override { return budgets_.back(); }
  int trials_per_round() const override { return 0; }

 private:
  struct Open {  // a running or paused trial
    bool running = true;
    int granted = 0;
    int epoch = 0;  // of the last observation
  };
  struct Choice {
    int trial = 0;
    CurveSurrogate::Outlook outlook;
  };

  Assignment decide() const;
  Assignment wait_or_end() const;
  std::optional<Choice> best_paused() const;
  // The point to begin with (none: the sampler's), and its outlook.
  std::pair<std::optional<Point>, CurveSurrogate::Outlook> best_new() const;
  std::vector<Point> candidates() const;
  Point candidate(int number, const std::vector<int>& elite, const Random& random) const;
  StartTrial start(std::optional<Point> point) const {
    return {.bracket = 0, .until_epoch = budgets_.front(), .point = std::move(point), .parent = {}};
  }

  const Space* space_;
  bool own_points_;
  std::vector<int> budgets_;
  Random random_;
  std::size_t initial_;
  std::map<int, Open> open_;
  std::size_t started_ = 0;
  int running_ = 0;
  bool closed_ = false;
  mutable CurveSurrogate surrogate_;          // its observations are state, its model a cache
  mutable std::optional<Assignment> answer_;  // to next(), until the next fact
};

Assignment FreezeThaw::next() const {
  if (!answer_) {
    answer_ = decide();
  }
  return *answer_;
}

Assignment FreezeThaw::decide() const {
  const bool initial = started_ < initial_ || surrogate_.observations() < kFewestInitial;
  if (initial && !closed_) {
    return start(std::nullopt);
  }
  if (surrogate_.observations() == 0) {
    return wait_or_end();
  }
  std::map<int, int> pending;
  for (const auto& [trial, open] : open_) {
    if (open.running && open.epoch == 0) {
      pending.emplace(trial, open.granted);
    }
  }
  surrogate_.update(pending);
  const auto paused = best_paused();
  if (!closed_) {
    auto [point, outlook] = best_new();
    if (!paused || outlook.rate >= paused->outlook.rate) {
      return start(std::move(point));
    }
  } else if (!paused || paused->outlook.chance < kHope) {
    return wait_or_end();
  }
  const int epoch = open_.at(paused->trial).epoch;
  return ResumeTrial{.trial = paused->trial,
                     .until_epoch = *std::upper_bound(budgets_.begin(), budgets_.end(), epoch)};
}

Assignment FreezeThaw::wait_or_end() const {
  if (running_ > 0) {
    return WaitForReports{};
  }
  return NothingLeft{};
}

std::optional<FreezeThaw::Choice> FreezeThaw::best_paused() const {
  std::vector<Choice> choices;
  for (const auto& [trial, open] : open_) {
    if (!open.running && surrogate_.models(trial)) {
      choices.push_back({trial, surrogate_.rough_outlook(trial, open.epoch)});
    }
  }
  const auto faster = [](const Choice& a, const Choice& b) {
    return std::pair(-a.outlook.rate, a.trial) < std::pair(-b.outlook.rate, b.trial);
  };
  const auto end = choices.begin() + static_cast<std::ptrdiff_t>(std::min(kExactOutlooks, choices.size()));
  std::partial_sort(choices.begin(), end, choices.end(), faster);
  choices.erase(end, choices.end());
  if (choices.empty()) {
    return std::nullopt;
  }
  for (Choice& choice : choices) {
    choice.outlook = surrogate_.outlook(choice.trial, open_.at(choice.trial).epoch);
  }
  return *std::min_element(choices.begin(), choices.end(), faster);
}

std::pair<std::optional<Point>, CurveSurrogate::Outlook> FreezeThaw::best_new() const {
  const std::vector<Point> points = candidates();
  std::pair<std::optional<Point>, CurveSurrogate::Outlook> best;
  double sum = 0;
  for (const Point& point : points) {
    const CurveSurrogate::Outlook outlook = surrogate_.outlook(point);
    sum += outlook.rate;
    if (!best.first || outlook.rate > best.second.rate) {
      best = {point, outlook};
    }
  }
  if (!own_points_ && !points.empty()) {
    // What the sampler will choose is not known; that it is as good as these are on average is.
    return {std::nullopt, {.rate = sum / static_cast<double>(points.size()), .chance = 0}};
  }
  return best;
}

std::vector<Point> FreezeThaw::candidates() const {
  const Random random = random_.substream(surrogate_.observations()).substream(started_);
  const std::vector<int> elite = surrogate_.best_trials(kElite);
  std::vector<Point> points;
  for (int number = 0; number < kCandidates; ++number) {
    Point point = candidate(number, elite, random.substream(static_cast<std::uint64_t>(number)));
    if (!surrogate_.knows(point) && space_->allows(point)) {
      points.push_back(std::move(point));
    }
  }
  return points;
}

// By turns anywhere, and around one of the best trials at a random scale. Steps over the edge are reflected,
// so that corners are not favoured.
Point FreezeThaw::candidate(int number, const std::vector<int>& elite, const Random& random) const {
  std::vector<double> unit(space_->size());
  std::uint64_t draw = 0;
  if (number % 2 == 0 || elite.empty()) {
    for (double& coordinate : unit) {
      coordinate = random.uniform(draw++);
    }
    return space_->from_unit(unit);
  }
  unit = space_->to_unit(surrogate_.point(elite[static_cast<std::size_t>(number / 2) % elite.size()]));
  const double reach = kLeastReach * std::pow(kReachRatio, random.uniform(draw++));
  for (double& coordinate : unit) {
    const double moved = std::abs(coordinate + reach * random.normal(draw++));
    coordinate = std::clamp(moved < 1 ? moved : 2 - moved, 0.0, std::nextafter(1.0, 0.0));
  }
  return space_->from_unit(unit);
}

void FreezeThaw::started(const Trial& trial, const Assignment& assignment) {
  answer_.reset();
  const auto* resume = std::get_if<ResumeTrial>(&assignment);
  ++running_;
  if (resume != nullptr) {
    Open& open = open_.at(trial.number);
    CHECK(!open.running);
    open.running = true;
    open.granted = resume->until_epoch;
    return;
  }
  ++started_;
  surrogate_.add_trial(trial.number, trial.point);
  const int granted = std::get<StartTrial>(assignment).until_epoch;
  CHECK(open_.emplace(trial.number, Open{.granted = granted}).second, "a trial starts once");
}

// A trial pauses after each step, even where it is the next to go on: whether it is costs a decision, which
// the crew that asks has to wait for in any case.
Ruling FreezeThaw::reported(const Trial& trial) {
  Open& open = open_.at(trial.number);
  const Score& score = trial.scores.back();
  if (score.epoch < open.granted) {
    return {.verdict = {.action = Verdict::Action::go_on, .until_epoch = open.granted}};
  }
  answer_.reset();
  surrogate_.observe(trial.number, score.epoch, score.values.front());
  --running_;
  if (score.epoch >= max_epochs()) {
    open_.erase(trial.number);
    return {.verdict = {.action = Verdict::Action::complete}};
  }
  open.running = false;
  open.epoch = score.epoch;
  return {.verdict = {.action = Verdict::Action::pause}};
}

std::vector<int> FreezeThaw::ended(const Trial& trial) {
  const auto found = open_.find(trial.number);
  if (found == open_.end()) {
    return {};
  }
  answer_.reset();
  const Open open = found->second;
  open_.erase(found);
  running_ -= open.running ? 1 : 0;
  if (trial.state != TrialState::complete) {
    surrogate_.observe(trial.number, std::min(open.epoch + 1, max_epochs()),
                       std::numeric_limits<double>::infinity());
  } else if (open.running && !trial.scores.empty()) {
    surrogate_.observe(trial.number, std::min(trial.scores.back().epoch, max_epochs()),
                       trial.scores.back().values.front());
  }
  return {};
}

std::vector<int> FreezeThaw::closed() {
  answer_.reset();
  closed_ = true;
  return {};
}

std::vector<RungPlan> FreezeThaw::plan() const {
  std::vector<RungPlan> rungs;
  for (const int epochs : budgets_) {
    rungs.push_back({.bracket = 0, .epochs = epochs, .trials = 0});
  }
  return rungs;
}

}  // namespace

Result<std::unique_ptr<Scheduler>> make_freeze_thaw(const Typed& config, const SearchContext& context) {
  if (context.objectives > 1) {
    return mistake_at(config.place,
                      "the freeze-thaw scheduler takes one objective; choose asha or hyperband");
  }
  Section section(config.options, "the freeze-thaw scheduler");
  FreezeThawOptions options;
  options.epochs = read_epoch_range(section);
  options.own_points = section.choice("points", {"model", "sampler"}, "model") == "model";
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(std::make_unique<FreezeThaw>(options, context));
}

}  // namespace regatta

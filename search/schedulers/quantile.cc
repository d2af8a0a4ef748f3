// Values of complete trials are kept by epoch, sorted, so that a judgement is a look-up.
#include "search/schedulers/quantile.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/check.h"
#include "search/pareto.h"
#include "search/schedulers/ladder.h"

namespace regatta {
namespace {

struct QuantileOptions {
  int max_epochs = 1;
  int grace_epochs = 0;
  int startup_trials = 5;
  bool average = false;
  double percentile = 50;
};

class QuantileRule final : public Scheduler {
 public:
  explicit QuantileRule(const QuantileOptions& options) : options_(options) {}

  Assignment next() const override {
    if (!closed_) {
      return StartTrial{.bracket = 0, .until_epoch = first_grant(), .point = {}, .parent = {}};
    }
    if (!running_.empty()) {
      return WaitForReports{};
    }
    return NothingLeft{};
  }

  void started(const Trial& trial, const Assignment& assignment) override {
    const auto* start = std::get_if<StartTrial>(&assignment);
    CHECK(start != nullptr, "a stopping rule pauses no trial");
    running_[trial.number] = start->until_epoch;
  }

  Ruling reported(const Trial& trial) override {
    int& granted = running_.at(trial.number);
    const int epoch = trial.scores.back().epoch;
    if (epoch >= options_.max_epochs) {
      finish(trial);
      return {.verdict = {.action = Verdict::Action::complete}};
    }
    if (epoch >= granted) {
      if (epoch > options_.grace_epochs && is_behind(trial)) {
        running_.erase(trial.number);
        return {.verdict = {.action = Verdict::Action::stop}};
      }
      granted = epoch + 1;
    }
    return {.verdict = {.action = Verdict::Action::go_on, .until_epoch = granted}};
  }

  std::vector<int> ended(const Trial& trial) override {
    if (trial.state == TrialState::complete && running_.contains(trial.number)) {
      finish(trial);
    }
    running_.erase(trial.number);
    return {};
  }

  std::vector<int> closed() override {
    closed_ = true;
    return {};
  }

  std::vector<RungPlan> plan() const override {
    std::vector<RungPlan> rungs;
    for (int epoch = first_grant(); epoch < options_.max_epochs; ++epoch) {
      rungs.push_back({.bracket = 0, .epochs = epoch, .trials = 0});
    }
    rungs.push_back({.bracket = 0, .epochs = options_.max_epochs, .trials = 0});
    return rungs;
  }
  int max_epochs() const override { return options_.max_epochs; }
  int trials_per_round() const override { return 0; }

 private:
  // The first epoch that is judged.
  int first_grant() const { return std::min(options_.grace_epochs + 1, options_.max_epochs); }

  // A trial that is complete is what others are compared with from now on.
  void finish(const Trial& trial) {
    running_.erase(trial.number);
    ++complete_;
    Objectives sums(trial.scores.empty() ? 0 : trial.scores.front().values.size());
    double count = 0;
    for (const Score& score : trial.scores) {
      ++count;
      auto& columns = values_[score.epoch];
      columns.resize(sums.size());
      for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i] += score.values[i];
        const double value = options_.average ? sums[i] / count : score.values[i];
        columns[i].insert(std::upper_bound(columns[i].begin(), columns[i].end(), value), value);
      }
    }
  }

  // With several objectives: in all of them.
  bool is_behind(const Trial& trial) const {
    const auto values = values_.find(trial.scores.back().epoch);
    if (complete_ < options_.startup_trials || values == values_.end()) {
      return false;
    }
    Objectives best = trial.scores.front().values;
    for (const Score& score : trial.scores) {
      for (std::size_t i = 0; i < best.size(); ++i) {
        best[i] = std::min(best[i], score.values[i]);
      }
    }
    for (std::size_t i = 0; i < best.size(); ++i) {
      if (best[i] <= percentile_of(values->second[i], options_.percentile)) {
        return false;
      }
    }
    return true;
  }

  QuantileOptions options_;
  std::map<int, int> running_;  // trial → epoch granted
  // By epoch and objective, of complete trials, rising.
  std::map<int, std::vector<std::vector<double>>> values_;
  int complete_ = 0;
  bool closed_ = false;
};

QuantileOptions read_options(Section& section) {
  QuantileOptions options;
  options.max_epochs = static_cast<int>(section.integer("max_epochs", {.min = 1, .max = kMaxEpochsLimit}));
  options.grace_epochs =
      static_cast<int>(section.integer("grace_epochs", {.fallback = 0, .min = 0, .max = kMaxEpochsLimit}));
  options.startup_trials =
      static_cast<int>(section.integer("startup_trials", {.fallback = 5, .min = 1, .max = kMaxEpochsLimit}));
  options.average = section.flag("average", false);
  return options;
}

}  // namespace

double percentile_of(const std::vector<double>& sorted, double percentile) {
  CHECK(!sorted.empty());
  const double position = percentile / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(position));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - std::floor(position));
}

Result<std::unique_ptr<Scheduler>> make_median(const Typed& config, const SearchContext& /*context*/) {
  Section section(config.options, "the median scheduler");
  const QuantileOptions options = read_options(section);
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(std::make_unique<QuantileRule>(options));
}

Result<std::unique_ptr<Scheduler>> make_percentile(const Typed& config, const SearchContext& /*context*/) {
  Section section(config.options, "the percentile scheduler");
  QuantileOptions options = read_options(section);
  options.percentile = section.number("percentile", {.fallback = 25, .min = 0, .max = 100});
  RETURN_IF_ERROR(section.finish());
  return std::unique_ptr<Scheduler>(std::make_unique<QuantileRule>(options));
}

}  // namespace regatta

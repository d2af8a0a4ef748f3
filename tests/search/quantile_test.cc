// The stopping rules against their definitions, written down directly.
#include "search/schedulers/quantile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "search/pareto.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

// numpy.percentile(values, percentile) as its documentation defines it.
double numpy_percentile(std::vector<double> values, double percentile) {
  std::sort(values.begin(), values.end());
  const double virtual_index = (static_cast<double>(values.size()) - 1) * percentile / 100;
  const auto j = static_cast<std::size_t>(virtual_index);
  const double g = virtual_index - std::floor(virtual_index);
  return j + 1 < values.size() ? values[j] + g * (values[j + 1] - values[j]) : values[j];
}

TEST(Percentile, IsInterpolatedAsNumpyDoes) {
  EXPECT_DOUBLE_EQ(percentile_of({1, 2, 3, 4}, 50), 2.5);
  EXPECT_DOUBLE_EQ(percentile_of({1, 2, 3, 4}, 25), 1.75);
  EXPECT_DOUBLE_EQ(percentile_of({7}, 10), 7);
  EXPECT_DOUBLE_EQ(percentile_of({1, 5}, 100), 5);
  const Random random(3, "values");
  for (std::uint64_t n = 1; n < 30; ++n) {
    std::vector<double> values;
    for (std::uint64_t i = 0; i < n; ++i) {
      values.push_back(random.uniform(100 * n + i));
    }
    std::sort(values.begin(), values.end());
    for (const double percentile : {0.0, 10.0, 33.0, 50.0, 99.0}) {
      EXPECT_NEAR(percentile_of(values, percentile), numpy_percentile(values, percentile), 1e-12);
    }
  }
}

struct Rule {
  double percentile = 50;
  int grace = 0;
  int startup = 5;
  bool average = false;
};

// Optuna's PercentilePruner.prune, or with averages Vizier's rule, over the trials that are complete.
bool is_pruned(const Rule& rule, const std::vector<Trial>& complete, const Trial& trial) {
  const int epoch = trial.scores.back().epoch;
  if (static_cast<int>(complete.size()) < rule.startup || epoch <= rule.grace) {
    return false;
  }
  std::vector<double> others;
  for (const Trial& other : complete) {
    double sum = 0;
    double count = 0;
    for (const Score& score : other.scores) {
      sum += score.values[0];
      ++count;
      if (score.epoch == epoch) {
        others.push_back(rule.average ? sum / count : score.values[0]);
      }
    }
  }
  double best = INFINITY;
  for (const Score& score : trial.scores) {
    best = std::min(best, score.values[0]);
  }
  return !others.empty() && best > numpy_percentile(others, rule.percentile);
}

void expect_rule(const std::string& config, const Rule& rule, int report_every) {
  SCOPED_TRACE(config);
  int stops = 0;
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto scheduler = scheduler_from(config);
    const Regatta regatta = run_crews(*scheduler, {.crews = 1 + static_cast<int>(seed * 3),
                                                   .trials = 80,
                                                   .seed = seed,
                                                   .failure_rate = seed % 2 == 0 ? 0.02 : 0,
                                                   .completion_rate = seed % 3 == 0 ? 0.05 : 0,
                                                   .report_every = report_every});
    ASSERT_TRUE(regatta.finished);
    std::vector<Trial> complete;
    for (const Fact& fact : regatta.facts) {
      if (const auto* ended = std::get_if<Ended>(&fact)) {
        if (ended->trial.state == TrialState::complete) {
          complete.push_back(ended->trial);
        }
        continue;
      }
      const auto* reported = std::get_if<Reported>(&fact);
      if (reported == nullptr) {
        continue;
      }
      if (reported->trial.scores.back().epoch >= scheduler->max_epochs()) {
        EXPECT_EQ(reported->ruling.verdict.action, Verdict::Action::complete);
        complete.push_back(reported->trial);
        continue;
      }
      const bool stop = is_pruned(rule, complete, reported->trial);
      stops += stop ? 1 : 0;
      ASSERT_EQ(reported->ruling.verdict.action, stop ? Verdict::Action::stop : Verdict::Action::go_on);
    }
  }
  EXPECT_GT(stops, 50);
}

TEST(MedianStopping, JudgesAsOptunaWhateverTheCrewsDo) {
  expect_rule("{type: median, max_epochs: 12}", {}, 1);
  expect_rule("{type: median, max_epochs: 12, grace_epochs: 4, startup_trials: 10}",
              {.grace = 4, .startup = 10}, 1);
}

TEST(MedianStopping, JudgesRunningAveragesAsVizier) {
  expect_rule("{type: median, max_epochs: 12, average: true}", {.average = true}, 1);
}

TEST(PercentileStopping, KeepsTheBestShare) {
  expect_rule("{type: percentile, max_epochs: 12}", {.percentile = 25}, 1);
  expect_rule("{type: percentile, percentile: 75, max_epochs: 12}", {.percentile = 75}, 1);
}

TEST(MedianStopping, CoarseReportsAreComparedAtTheirOwnEpochs) {
  expect_rule("{type: median, max_epochs: 12}", {}, 3);
}

TEST(MedianStopping, OfSeveralObjectivesOnlyStopsWhatIsBehindInAll) {
  const auto scheduler = scheduler_from("{type: median, max_epochs: 2, startup_trials: 1}");
  Trial first{.number = 0, .state = TrialState::running};
  scheduler->started(first, scheduler->next());
  first.scores = {{.epoch = 1, .values = {3, 3}}, {.epoch = 2, .values = {2, 2}}};
  EXPECT_EQ(scheduler->reported(first).verdict.action, Verdict::Action::complete);
  const std::vector<std::pair<Objectives, Verdict::Action>> cases = {
      {{9, 1}, Verdict::Action::go_on}, {{1, 9}, Verdict::Action::go_on}, {{9, 9}, Verdict::Action::stop}};
  for (const auto& [values, action] : cases) {
    Trial next{.number = first.number + 1, .state = TrialState::running};
    scheduler->started(next, scheduler->next());
    next.scores = {{.epoch = 1, .values = values}};
    EXPECT_EQ(scheduler->reported(next).verdict.action, action);
    ++first.number;
  }
}

}  // namespace
}  // namespace regatta

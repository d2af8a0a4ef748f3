// TPE, CMA-ES, NSGA-II, ParEGO and auto: what each promises beyond the contract that all samplers share.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "search/pareto.h"
#include "search/sampler.h"
#include "search/samplers/auto.h"
#include "search/samplers/branched_trials.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

std::unique_ptr<Sampler> sampler_from(const std::string& config, const Space& space, std::uint64_t seed = 1,
                                      std::size_t objectives = 1) {
  return make_sampler(typed(config), {.space = &space, .seed = seed, .objectives = objectives}).value();
}

// NaN: the trial fails.
using Objective = std::function<std::vector<double>(const Point&)>;

void tell(Trial& trial, std::vector<double> values) {
  trial.state = std::isnan(values.front()) ? TrialState::failed : TrialState::complete;
  if (trial.state == TrialState::complete) {
    trial.values = values;
    trial.scores = {{.epoch = 1, .values = std::move(values)}};
  }
}

std::vector<Trial> study(Sampler& sampler, int trials, const Objective& objective) {
  std::vector<Trial> history;
  for (int number = 0; number < trials; ++number) {
    history.push_back({.number = number, .point = sampler.propose(history, number).value()});
    tell(history.back(), objective(history.back().point));
  }
  return history;
}

double best(const std::vector<Trial>& history) {
  double best = std::numeric_limits<double>::infinity();
  for (const Trial& trial : history) {
    best = trial.values.empty() ? best : std::min(best, trial.values.front());
  }
  return best;
}

double median_best(const std::string& sampler, const Space& space, int trials, const Objective& objective) {
  std::vector<double> results;
  for (std::uint64_t seed = 0; seed < 9; ++seed) {
    results.push_back(best(study(*sampler_from(sampler, space, seed), trials, objective)));
  }
  std::nth_element(results.begin(), results.begin() + 4, results.end());
  return results[4];
}

constexpr const char* kBox = "{x: {float: [0, 1]}, y: {float: [1e-4, 1], log: true}, n: {int: [1, 20]}}";

std::vector<double> bowl(const Point& point) {
  return {std::pow(*point[0] - 0.3, 2) + std::pow(std::log10(*point[1]) + 2, 2) +
          std::pow((*point[2] - 14) / 20, 2)};
}

class ModelSampler : public testing::TestWithParam<std::string> {};

TEST_P(ModelSampler, FindsTheBottomOfABowlFarBetterThanChance) {
  const Space space = space_from(kBox);
  EXPECT_LT(median_best(GetParam(), space, 120, bowl), median_best("random", space, 120, bowl) / 3);
}

TEST_P(ModelSampler, LearnsWhichCategoryIsBest) {
  const Space space = space_from("{kind: {choice: [a, b, c, d, e, f]}, x: {float: [0, 1]}}");
  const auto objective = [](const Point& point) {
    return std::vector<double>{(*point[0] == 4 ? 0 : 1) + *point[1]};
  };
  const std::vector<Trial> history = study(*sampler_from(GetParam(), space), 150, objective);
  const auto chosen = std::count_if(history.end() - 50, history.end(),
                                    [](const Trial& trial) { return trial.point[0] == 4; });
  EXPECT_GE(chosen, 20);  // by chance 8
}

TEST_P(ModelSampler, LeavesTheRegionWhereTrialsFail) {
  const Space space = space_from("{x: {float: [0, 1]}, y: {float: [0, 1]}}");
  const auto objective = [](const Point& point) {
    return std::vector<double>{*point[0] < 0.7 ? std::nan("") : *point[0] + std::abs(*point[1] - 0.5)};
  };
  const std::vector<Trial> history = study(*sampler_from(GetParam(), space), 120, objective);
  const auto failed = std::count_if(history.end() - 40, history.end(),
                                    [](const Trial& trial) { return trial.state == TrialState::failed; });
  EXPECT_LT(failed, 25);  // by chance 28
  EXPECT_LT(best(history), 0.85);
}

TEST_P(ModelSampler, HeedsTheRequirements) {
  const Space free = space_from("{x: {float: [0, 1]}, y: {float: [0, 1]}, n: {int: [1, 9]}}");
  const Space space(free.parameters(), {Expression::parse("x + y < 0.8", {"x", "y", "n"}, {}).value(),
                                        Expression::parse("n * x < 3", {"x", "y", "n"}, {}).value()});
  const auto objective = [](const Point& point) { return std::vector<double>{-*point[0] - *point[1]}; };
  for (const Trial& trial : study(*sampler_from(GetParam(), space), 100, objective)) {
    EXPECT_TRUE(space.allows(trial.point)) << space.describe(trial.point);
  }
}

// Sixteen workers whose trials end in another order than they began in.
TEST_P(ModelSampler, TakesTrialsInAnyOrderOfEnding) {
  const Space space = space_from(kBox);
  std::vector<double> results;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto sampler = sampler_from(GetParam(), space, seed);
    const Random random(seed, "order of ending");
    std::vector<Trial> history;
    std::vector<std::size_t> running;
    for (int number = 0; number < 200; ++number) {
      if (running.size() == 16) {
        const auto ended = running.begin() + static_cast<std::ptrdiff_t>(random.below(history.size(), 16));
        tell(history[*ended], bowl(history[*ended].point));
        running.erase(ended);
      }
      running.push_back(history.size());
      history.push_back({.number = number,
                         .point = sampler->propose(history, number).value(),
                         .state = TrialState::running});
    }
    results.push_back(best(history));
    EXPECT_EQ(sampler_from(GetParam(), space, seed)->propose(history, 200), sampler->propose(history, 200));
  }
  std::nth_element(results.begin(), results.begin() + 2, results.end());
  EXPECT_LT(results[2], 0.03);
}

INSTANTIATE_TEST_SUITE_P(All, ModelSampler, testing::Values("tpe", "cma-es", "nsga2"),
                         [](const auto& each) { return each.param == "cma-es" ? "cma_es" : each.param; });

TEST(Tpe, FindsANarrowOptimumInABranchThatLooksWorse) {
  const Space space = space_from(
      "{kind: {choice: [simple, deep]}, a: {float: [0, 1], when: kind == simple},"
      " b: {float: [0, 1], when: kind == deep}, c: {float: [0, 1], when: kind == deep}}");
  const auto objective = [](const Point& point) {
    return std::vector<double>{
        *point[0] == 0 ? 0.3 + std::pow(*point[1] - 0.4, 2)
                       : 1 - std::exp(-(std::pow(*point[2] - 0.7, 2) + std::pow(*point[3] - 0.2, 2)) / 0.02)};
  };
  EXPECT_LT(median_best("tpe", space, 150, objective), 0.1);
}

TEST(Tpe, LeavesABranchThatCannotCatchUp) {
  const Space space = space_from(
      "{kind: {choice: [good, bad]}, a: {float: [0, 1], when: kind == good},"
      " d: {float: [0, 1], when: kind == bad}}");
  const auto objective = [](const Point& point) {
    return std::vector<double>{*point[0] == 0 ? std::pow(*point[1] - 0.4, 2) : 1 + 0.01 * *point[2]};
  };
  const std::vector<Trial> history = study(*sampler_from("tpe", space), 150, objective);
  const auto bad = std::count_if(history.end() - 100, history.end(),
                                 [](const Trial& trial) { return trial.point[0] == 1; });
  EXPECT_LT(bad, 15);
  EXPECT_GT(bad, 0);  // but it is not forgotten
}

TEST(Promise, FallsWithTheDeficitInSpreads) {
  EXPECT_EQ(promise(std::vector<double>{1, 2, 3, 4, 5}, 1), 1);
  EXPECT_EQ(promise(std::vector<double>{8, 9}, 1), 1);  // too few to tell
  const double near = promise(std::vector<double>{2, 3, 4, 5, 6}, 1);
  const double far = promise(std::vector<double>{20, 21, 22, 23, 24}, 1);
  EXPECT_GT(near, 0.8);
  EXPECT_LT(far, 0.4);
  EXPECT_GT(promise(std::vector<double>{5, 5, 5, 5, 5}, 1), 0);
}

TEST(Tpe, LearnsFromTrialsThatWereStopped) {
  const Space space = space_from(kBox);
  std::vector<double> results;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto sampler = sampler_from("tpe", space, seed);
    std::vector<Trial> history;
    for (int number = 0; number < 120; ++number) {
      Trial trial{.number = number, .point = sampler->propose(history, number).value()};
      const double value = bowl(trial.point).front();
      const bool good = value < 0.5;  // only good trials are trained for longer
      for (int epoch = 1; epoch <= (good ? 9 : 1); ++epoch) {
        trial.scores.push_back({.epoch = epoch, .values = {value + 1.0 / epoch}});
      }
      trial.state = good ? TrialState::complete : TrialState::stopped;
      history.push_back(std::move(trial));
    }
    double found = 1e9;
    for (const Trial& trial : history) {
      found = std::min(found, bowl(trial.point).front());
    }
    results.push_back(found);
  }
  std::nth_element(results.begin(), results.begin() + 2, results.end());
  EXPECT_LT(results[2], 0.02);
}

TEST(CmaEs, RestartsElsewhereWhenItHasConverged) {
  const Space space = space_from("{x: {float: [0, 1]}, y: {float: [0, 1]}}");
  const auto objective = [](const Point& point) {
    return std::vector<double>{std::pow(*point[0] - 0.3, 2) + std::pow(*point[1] - 0.6, 2)};
  };
  const std::vector<Trial> history = study(*sampler_from("cma-es", space), 900, objective);
  int near = 0;       // in a row
  int converged = 0;  // the first trial after twenty such
  int away = 0;       // trials far from the optimum after that
  for (const Trial& trial : history) {
    near = trial.values.front() < 1e-6 ? near + 1 : 0;
    converged = converged == 0 && near >= 20 ? trial.number : converged;
    away += converged > 0 && trial.values.front() > 1e-2 ? 1 : 0;
  }
  EXPECT_GT(converged, 0);
  EXPECT_LT(converged, 500);
  EXPECT_GT(away, 10);
}

TEST(CmaEs, RefusesSeveralObjectivesAndNamesWhoTakesThem) {
  const Space space = space_from(kBox);
  const auto refused = make_sampler(typed("cma-es"), {.space = &space, .objectives = 2});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, testing::HasSubstr("nsga2"));
}

class SeveralObjectives : public testing::TestWithParam<std::string> {};

TEST_P(SeveralObjectives, CoverMoreOfTheFrontThanChance) {
  const Space space = space_from(
      "{a: {float: [0, 1]}, b: {float: [0, 1]}, c: {float: [0, 1]},"
      " d: {float: [0, 1]}, e: {float: [0, 1]}}");
  // ZDT1: Zitzler, Deb, Thiele, Evolutionary Computation 8(2), 2000.
  const auto zdt1 = [](const Point& point) {
    const double g = 1 + 9 * (*point[1] + *point[2] + *point[3] + *point[4]) / 4;
    return std::vector<double>{*point[0], g * (1 - std::sqrt(*point[0] / g))};
  };
  const auto covered = [&](const std::string& sampler) {
    std::vector<double> volumes;
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      std::vector<Objectives> values;
      for (const Trial& trial : study(*sampler_from(sampler, space, seed, 2), 100, zdt1)) {
        values.push_back(trial.values);
      }
      volumes.push_back(hypervolume(values, {1.1, 6}));
    }
    std::nth_element(volumes.begin(), volumes.begin() + 2, volumes.end());
    return volumes[2];
  };
  EXPECT_GT(covered(GetParam()), covered("random") + 0.4);
}

INSTANTIATE_TEST_SUITE_P(All, SeveralObjectives,
                         testing::Values("tpe", "nsga2", "{type: parego, model: tpe}"));

TEST(Parego, TakesTheModelThatIsAskedForAndRefusesAnUnknownOne) {
  const Space space = space_from(kBox);
  EXPECT_TRUE(make_sampler(typed("{type: parego, model: {type: tpe, startup: 5}}"),
                           {.space = &space, .objectives = 2})
                  .ok());
  const auto refused = make_sampler(typed("{type: parego, model: tpee}"), {.space = &space, .objectives = 2});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, testing::HasSubstr("tpe"));
}

std::vector<std::string> phases(const std::string& yaml, std::size_t objectives, std::optional<int> trials) {
  const Space space = space_from(yaml);
  std::vector<std::string> result;
  for (const AutoPhase& phase : auto_phases({.space = &space, .objectives = objectives, .trials = trials})) {
    result.push_back(std::to_string(phase.first) + " " + phase.sampler);
  }
  return result;
}

TEST(Auto, ChoosesBySpaceBudgetAndObjectives) {
  constexpr const char* kChoices = "{x: {float: [0, 1]}, kind: {choice: [a, b]}}";
  EXPECT_THAT(phases(kBox, 1, 100), testing::ElementsAre("0 gp"));
  EXPECT_THAT(phases(kBox, 1, 5000), testing::ElementsAre("0 gp", "300 cma-es"));
  EXPECT_THAT(phases(kBox, 1, std::nullopt), testing::ElementsAre("0 gp", "300 cma-es"));
  EXPECT_THAT(phases(kChoices, 1, 5000), testing::ElementsAre("0 gp", "300 tpe"));
  EXPECT_THAT(phases(kBox, 2, 5000), testing::ElementsAre("0 {type: parego, model: gp}", "150 nsga2"));
}

TEST(Auto, HandsTheWholeHistoryToTheSamplerOfThePhase) {
  const Space space = space_from(kBox);
  const std::vector<Trial> history = study(*sampler_from("sobol", space), 300, bowl);
  const std::span<const Trial> early(history.data(), 30);
  const auto sampler = sampler_from("auto", space);
  EXPECT_EQ(sampler->propose(early, 30), sampler_from("gp", space)->propose(early, 30));
  EXPECT_EQ(sampler->propose(history, 300), sampler_from("cma-es", space)->propose(history, 300));
}

}  // namespace
}  // namespace regatta

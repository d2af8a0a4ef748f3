// PED-ANOVA against what it stands for: the variance of the marginals of "is among the best".
#include "search/importance.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace regatta {
namespace {

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

Trial ended(int number, Point point, double value) {
  return {.number = number,
          .point = std::move(point),
          .state = TrialState::complete,
          .scores = {{.epoch = 1, .values = {value}}},
          .values = {value}};
}

const ParameterImportance& of(const Importance& importance, std::size_t parameter) {
  return *std::find_if(importance.parameters.begin(), importance.parameters.end(),
                       [&](const auto& each) { return each.parameter == parameter; });
}

// Theorem 1 of the paper: (share of the best)² times the divergence is the variance over one parameter of the
// share of its other combinations that are among the best. Here every combination is tried once.
TEST(Importance, OfAFullFactorialIsTheVarianceOfMarginals) {
  const Space space = space_from("{a: {int: [0, 9]}, b: {choice: [p, q, r, s]}, c: {int: [0, 4]}}");
  const Random random(5, "test");
  std::vector<Trial> trials;
  const auto points = grid_points(space, 1000).value();
  for (const Point& point : points) {
    const auto number = trials.size();
    const double value = std::abs(*point[0] - 6) + 2 * (*point[1] == 2) + 0.5 * random.uniform(number);
    trials.push_back(ended(static_cast<int>(number), point, value));
  }
  const Importance importance = parameter_importance(space, trials).value();
  ASSERT_EQ(importance.best, 20U);
  std::vector<double> sorted;
  for (const Trial& trial : trials) {
    sorted.push_back(trial.values[0]);
  }
  std::sort(sorted.begin(), sorted.end());
  const double share = 20.0 / static_cast<double>(trials.size());
  for (std::size_t i = 0; i < space.size(); ++i) {
    const auto values = *space.parameters()[i].cardinality();
    double variance = 0;
    for (std::uint64_t k = 0; k < values; ++k) {
      double among_best = 0;
      double all = 0;
      for (const Trial& trial : trials) {
        if (trial.point[i] == space.parameters()[i].nth(k)) {
          all += 1;
          among_best += trial.values[0] <= sorted[19] ? 1 : 0;
        }
      }
      variance += std::pow(among_best / all - share, 2) / static_cast<double>(values);
    }
    EXPECT_NEAR(share * share * of(importance, i).divergence, variance, 1e-12) << i;
  }
  EXPECT_EQ(importance.parameters[0].parameter, 0U);
  EXPECT_GT(of(importance, 1).importance, of(importance, 2).importance);
}

Importance of_random_trials(const Space& space, int count, std::uint64_t seed,
                            const std::function<double(const Point&)>& value) {
  const Random random(seed, "test");
  std::vector<Trial> trials;
  for (int i = 0; i < count; ++i) {
    std::vector<double> unit(space.size());
    for (std::size_t k = 0; k < unit.size(); ++k) {
      unit[k] = random.uniform(static_cast<std::uint64_t>(i) * unit.size() + k);
    }
    const Point point = space.from_unit(unit);
    trials.push_back(ended(i, point, value(point)));
  }
  return parameter_importance(space, trials).value();
}

TEST(Importance, ComesFromTheParametersThatMatter) {
  const Space space = space_from(
      "{lr: {float: [1e-5, 1], log: true}, width: {int: [1, 500]}, opt: {choice: [a, b, c]}, no: {float: [0, "
      "1]}}");
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Importance importance = of_random_trials(space, 200, seed, [](const Point& point) {
      return std::pow(std::log10(*point[0]) + 3, 2) + std::abs(*point[1] - 100) / 250;
    });
    EXPECT_EQ(importance.trials, 200U);
    EXPECT_EQ(importance.parameters[0].parameter, 0U) << seed;
    EXPECT_GT(of(importance, 0).importance, 0.5) << seed;
    EXPECT_LT(of(importance, 2).importance + of(importance, 3).importance, 0.2) << seed;
    EXPECT_LT(of(importance, 0).low, 1e-3) << seed;
    EXPECT_GT(of(importance, 0).high, 1e-3) << seed;
    EXPECT_GT(of(importance, 0).low, 1e-4) << seed;
    EXPECT_LT(of(importance, 0).high, 1e-2) << seed;
    double sum = 0;
    for (const ParameterImportance& each : importance.parameters) {
      sum += each.importance;
    }
    EXPECT_NEAR(sum, 1, 1e-12);
  }
}

TEST(Importance, OfAChoiceTellsTheBestOne) {
  const Space space = space_from("{x: {float: [0, 1]}, opt: {choice: [sgd, adam, lion]}}");
  const Importance importance =
      of_random_trials(space, 100, 1, [](const Point& point) { return *point[0] + 2 * (*point[1] != 1); });
  EXPECT_EQ(importance.parameters[0].parameter, 1U);
  EXPECT_EQ(importance.parameters[0].choice, 1U);
  EXPECT_EQ(importance.parameters[0].choice_count, 10U);
}

// A parameter of a branch is judged inside it, and counts as much as the branch does among the best.
TEST(Importance, OfAConditionalParameterIsThatInItsBranch) {
  const Space space = space_from(
      "{kind: {choice: [good, bad]}, x: {float: [0, 1], when: kind == good}, y: {float: [0, 1], when: kind "
      "== "
      "bad}, z: {float: [0, 1]}}");
  const Importance importance = of_random_trials(space, 300, 2, [](const Point& point) {
    return point[1] ? std::abs(*point[1] - 0.3) : 2 + std::abs(*point[2] - 0.3);
  });
  EXPECT_GT(of(importance, 1).importance, 0.5);
  EXPECT_NEAR(of(importance, 2).importance, 0, 1e-12);  // no good result has it
  EXPECT_GT(of(importance, 2).divergence, 2 * of(importance, 2).chance);
  EXPECT_GT(of(importance, 0).importance, of(importance, 3).importance);
  EXPECT_LT(of(importance, 1).trials, 200U);
}

TEST(Importance, CountsFailedAndStoppedTrialsAsBad) {
  const Space space = space_from("{x: {float: [0, 1]}, y: {float: [0, 1]}}");
  const Random random(3, "test");
  std::vector<Trial> trials;
  for (int i = 0; i < 100; ++i) {
    const auto index = static_cast<std::uint64_t>(i);
    trials.push_back(
        ended(i, {random.uniform(2 * index), random.uniform(2 * index + 1)}, random.uniform(1000 + index)));
    if (*trials.back().point[0] > 0.3) {
      trials.back().state = TrialState::failed;
      trials.back().values.clear();
      trials.back().scores.clear();
    }
  }
  const Importance importance = parameter_importance(space, trials).value();
  EXPECT_EQ(importance.trials, 100U);
  EXPECT_EQ(importance.parameters[0].parameter, 0U);
  EXPECT_LT(of(importance, 0).high, 0.3);
}

TEST(Importance, NoFailedTrialIsAmongTheBest) {
  const Space space = space_from("{x: {float: [0, 1]}}");
  std::vector<Trial> trials;
  for (int i = 0; i < 300; ++i) {
    trials.push_back(ended(i, {i < 12 ? i * 0.01 : 0.9}, i));
    if (i >= 12) {
      trials.back().state = TrialState::failed;
      trials.back().values.clear();
      trials.back().scores.clear();
    }
  }
  const Importance importance = parameter_importance(space, trials).value();
  EXPECT_EQ(importance.best, 12U);
  EXPECT_EQ(of(importance, 0).best, 12U);
  EXPECT_LT(of(importance, 0).high, 0.12);
}

TEST(Importance, NeedsSomeTrials) {
  const Space space = space_from("{x: {float: [0, 1]}}");
  std::vector<Trial> trials;
  for (int i = 0; i < 9; ++i) {
    trials.push_back(ended(i, {i / 10.0}, i));
  }
  const auto refused = parameter_importance(space, trials);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "importance needs at least 10 ended trials with a value; there are 9");
  trials.push_back(ended(9, {0.95}, 9));
  EXPECT_TRUE(parameter_importance(space, trials).ok());
}

}  // namespace
}  // namespace regatta

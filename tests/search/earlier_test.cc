// Earlier studies: carried over by name and value, ranked, and tried early.
#include "search/earlier.h"

#include <gmock/gmock.h>

#include <cmath>

#include "search/normal_quantile.h"
#include "search/sampler.h"
#include "search/transfer.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::Pair;

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

Trial ended(int number, Point point, std::vector<double> values, int epoch = 1) {
  return {.number = number,
          .point = std::move(point),
          .state = TrialState::complete,
          .scores = {{.epoch = epoch, .values = values}},
          .values = values};
}

TEST(Transfer, TakesValuesByNameWhateverTheirOrderAndKind) {
  const Space theirs =
      space_from("{width: {int: [1, 100]}, lr: {float: [0, 1]}, opt: {choice: [sgd, adam]}}");
  const Space ours = space_from(
      "{opt: {choice: [lion, adam, sgd]}, lr: {choice: [0.1, 0.5]}, "
      "width: {float: [0, 50]}}");
  const std::vector<Trial> trials = {ended(0, {20.0, 0.5, 1.0}, {3}), ended(1, {60.0, 0.5, 1.0}, {1}),
                                     ended(2, {20.0, 0.2, 0.0}, {2})};
  const EarlierStudy result = transfer(theirs, trials, ours, 1);
  ASSERT_EQ(result.trials.size(), 1U);
  EXPECT_EQ(result.trials[0].point, (Point{1.0, 1.0, 20.0}));
  EXPECT_EQ(result.trials[0].values, std::vector<double>{3});
  EXPECT_EQ(result.outside, 2);
}

TEST(Transfer, SpreadsWhatTheOtherStudyDidNotHave) {
  const Space theirs = space_from("{lr: {float: [0, 1]}, gone: {int: [1, 3]}}");
  const Space ours = space_from("{lr: {float: [0, 1]}, fresh: {float: [0, 1]}, require: fresh < 0.5}");
  std::vector<Trial> trials;
  for (int i = 0; i < 200; ++i) {
    trials.push_back(ended(i, {i / 200.0, 1.0}, {1}));
  }
  const EarlierStudy result = transfer(theirs, trials, ours, 1);
  ASSERT_EQ(result.trials.size(), 200U);
  double sum = 0;
  for (const Trial& trial : result.trials) {
    EXPECT_TRUE(ours.contains(trial.point) && ours.allows(trial.point));
    EXPECT_EQ(trial.point[0], trial.number / 200.0);
    sum += *trial.point[1];
  }
  EXPECT_NEAR(sum / 200, 0.25, 0.03);
  EXPECT_EQ(transfer(theirs, trials, ours, 1).trials[7].point, result.trials[7].point);
  EXPECT_NE(transfer(theirs, trials, ours, 2).trials[7].point, result.trials[7].point);
}

TEST(Transfer, HeedsTheConditionsOfThisSpace) {
  const Space theirs = space_from("{opt: {choice: [sgd, adam]}, momentum: {float: [0, 2]}}");
  const Space ours = space_from("{opt: {choice: [sgd, adam]}, momentum: {float: [0, 1], when: opt == sgd}}");
  const std::vector<Trial> trials = {ended(0, {1.0, 1.5}, {1}), ended(1, {0.0, 1.5}, {1}),
                                     ended(2, {0.0, 0.5}, {1})};
  const EarlierStudy result = transfer(theirs, trials, ours, 1);
  ASSERT_EQ(result.trials.size(), 2U);  // what lies outside does not matter where it does not exist
  EXPECT_EQ(result.trials[0].point, (Point{1.0, std::nullopt}));
  EXPECT_EQ(result.trials[1].point, (Point{0.0, 0.5}));
}

TEST(Transfer, LeavesOutTrialsThatSayNothing) {
  const Space space = space_from("{x: {float: [0, 1]}}");
  std::vector<Trial> trials;
  for (const TrialState state :
       {TrialState::waiting, TrialState::running, TrialState::paused, TrialState::complete,
        TrialState::stopped, TrialState::failed, TrialState::invalid}) {
    trials.push_back(ended(static_cast<int>(trials.size()), {0.5}, {1}));
    trials.back().state = state;
  }
  trials.push_back({.number = 7, .point = {0.5}, .state = TrialState::complete});  // reported nothing
  const EarlierStudy result = transfer(space, trials, space, 1);
  ASSERT_EQ(result.trials.size(), 3U);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(result.trials[static_cast<std::size_t>(i)].number, i);
  }
}

std::vector<std::pair<double, double>> points_and_quantiles(const std::vector<EarlierPoint>& ranked) {
  std::vector<std::pair<double, double>> pairs;
  for (const EarlierPoint& each : ranked) {
    pairs.emplace_back(*each.point[0], each.quantile);
  }
  return pairs;
}

TEST(RankEarlier, GoesFromTheBestToTheFailedAndEqualsShareTheirPlace) {
  EarlierStudy study{.trials = {ended(0, {0.0}, {5}), ended(1, {1.0}, {2}), ended(2, {2.0}, {5}),
                                ended(3, {3.0}, {1}), ended(4, {4.0}, {0})}};
  study.trials[4].state = TrialState::failed;
  EXPECT_THAT(points_and_quantiles(rank_earlier({study})),
              ElementsAre(Pair(3.0, 0.1), Pair(1.0, 0.3), Pair(0.0, 0.6), Pair(2.0, 0.6), Pair(4.0, 0.9)));
}

TEST(RankEarlier, ComparesSeveralObjectivesByDominance) {
  // (1, 3) and (3, 1) are dominated by none, (3, 3) by both, (4, 4) by all three.
  const EarlierStudy study{.trials = {ended(0, {0.0}, {4, 4}), ended(1, {1.0}, {1, 3}),
                                      ended(2, {2.0}, {3, 3}), ended(3, {3.0}, {3, 1})}};
  EXPECT_THAT(points_and_quantiles(rank_earlier({study})),
              ElementsAre(Pair(1.0, 0.25), Pair(3.0, 0.25), Pair(2.0, 0.625), Pair(0.0, 0.875)));
}

TEST(NormalScore, IsTheQuantileOfTheNormalDistribution) {
  EXPECT_NEAR(normal_quantile(0.5), 0, 1e-12);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_quantile(0.1), -1.2815515655446004, 1e-12);
}

TEST(PromisingPoints, LieApartAndComeFromTheStudiesInTurn) {
  const Space space = space_from("{x: {float: [0, 1]}}");
  std::vector<EarlierStudy> studies(2);
  for (int i = 0; i < 100; ++i) {
    const double x = (i + 0.5) / 100;
    studies[0].trials.push_back(ended(i, {x}, {std::abs(x - 0.305)}));
    studies[1].trials.push_back(ended(i, {x}, {std::abs(x - 0.805)}));
  }
  std::vector<double> chosen;
  for (const Point& point : promising_points(space, rank_earlier(studies), 4)) {
    chosen.push_back(*point[0]);
  }
  ASSERT_EQ(chosen.size(), 4U);
  EXPECT_NEAR(chosen[0], 0.305, 1e-9);
  EXPECT_NEAR(chosen[1], 0.805, 1e-9);
  EXPECT_NEAR(std::abs(chosen[2] - 0.305), 0.1, 0.011);
  EXPECT_NEAR(std::abs(chosen[3] - 0.805), 0.1, 0.011);
  EXPECT_TRUE(promising_points(space, {}, 4).empty());
}

TEST(FirstPoints, EarlierOnesTakeTurnsWithTheSampler) {
  const Space space = space_from("{x: {float: [0, 1]}}");
  EarlierStudy study;
  for (int i = 0; i < 100; ++i) {
    study.trials.push_back(ended(i, {(i + 0.5) / 100}, {static_cast<double>(i)}));
  }
  const SearchContext context{.space = &space, .seed = 1, .known = {{0.77}}, .earlier = {study}};
  const auto sampler = make_sampler(typed("sobol"), context).value();
  std::vector<Trial> history;
  std::vector<double> x;
  for (int number = 0; number < 10; ++number) {
    history.push_back({.number = number, .point = *sampler->propose(history, number)});
    x.push_back(*history.back().point[0]);
  }
  EXPECT_EQ(x[0], 0.77);
  const auto is_earlier = [](double value) { return value < 0.31 && std::fmod(value * 100, 1.0) == 0.5; };
  EXPECT_NEAR(x[1], 0.005, 1e-9);
  EXPECT_NEAR(x[3], 0.105, 0.011);
  EXPECT_NEAR(x[5], 0.205, 0.021);
  const Space plain = space;
  const auto alone = make_sampler(typed("sobol"), {.space = &plain, .seed = 1}).value();
  for (const int number : {2, 4, 8, 9}) {
    const std::span<const Trial> before(history.data(), static_cast<std::size_t>(number));
    EXPECT_EQ(alone->propose(before, number), history[static_cast<std::size_t>(number)].point) << number;
    EXPECT_FALSE(is_earlier(x[static_cast<std::size_t>(number)]));
  }
}

}  // namespace
}  // namespace regatta

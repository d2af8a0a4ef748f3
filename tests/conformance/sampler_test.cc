// The contract of every sampler, run over all that are registered.
#include "search/sampler.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/random.h"
#include "search/known_points.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

constexpr const char* kContinuous =
    "{rate: {float: [1e-5, 1e-1], log: true}, width: {int: [16, 512], log: true}, rest: {float: [-1, 1]},"
    " kind: {choice: [a, b, c]}, momentum: {float: [0.8, 0.99], when: kind != a},"
    " nesterov: {choice: [true, false], when: momentum > 0.9}}";
constexpr const char* kFinite =
    "{width: {int: [16, 64], step: 16}, kind: {choice: [a, b]}, depth: {int: [1, 3], when: kind == b},"
    " rate: {float: [0.1, 0.5], step: 0.2}}";
// A third of it is allowed, and the requirement on momentum applies in two of three branches only.
constexpr const char* kRequired =
    "{width: {int: [16, 512], log: true}, depth: {int: [1, 9]}, rate: {float: [0, 1]},"
    " kind: {choice: [a, b, c]}, momentum: {float: [0, 1], when: kind != a},"
    " require: [width * depth < 256, momentum < rate]}";
constexpr const char* kFiniteRequired =
    "{width: {int: [1, 8]}, kind: {choice: [a, b]}, depth: {int: [1, 6], when: kind == b},"
    " share: {float: [0, 1], step: 0.25}, require: [width * depth < 12, width > 4 * share]}";
// One point in about two thousand.
constexpr const char* kNarrow =
    "{a: {float: [0, 1]}, b: {float: [0, 1]}, c: {float: [0, 1]}, kind: {choice: [x, y]},"
    " require: \"a + b + c < 0.15\"}";

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

// Trial states in a fixed mixture, so that a sampler meets all of them, in parallel and after failures.
void give_outcome(Trial& trial, std::size_t objectives) {
  const Random random = Random(11, "outcomes").substream(static_cast<std::uint64_t>(trial.number));
  constexpr TrialState kStates[] = {TrialState::complete, TrialState::running, TrialState::stopped,
                                    TrialState::complete, TrialState::failed,  TrialState::paused,
                                    TrialState::invalid,  TrialState::waiting};
  trial.state = kStates[random.below(0, std::size(kStates))];
  const bool never_trained = trial.state == TrialState::invalid || trial.state == TrialState::waiting;
  const std::uint64_t reports = never_trained ? 0 : random.below(1, 4);  // some of the others have none, too
  for (std::uint64_t epoch = 1; epoch <= reports; ++epoch) {
    std::vector<double> values;
    for (std::size_t i = 0; i < objectives; ++i) {
      values.push_back(trial.number % 13 == 0 ? 1e30 : random.uniform(10 * epoch + i));
    }
    trial.values = values;
    trial.scores.push_back({.epoch = static_cast<int>(epoch), .values = std::move(values)});
  }
}

class SamplerConformance : public testing::TestWithParam<std::string> {
 protected:
  // nullptr: this sampler refuses the space, with a user's mistake.
  static std::unique_ptr<Sampler> make(const Space& space, std::uint64_t seed = 1,
                                       std::size_t objectives = 1) {
    auto sampler = make_sampler(typed(GetParam()), {.space = &space, .seed = seed, .objectives = objectives});
    if (!sampler.ok()) {
      EXPECT_EQ(sampler.error().kind, Error::Kind::user_mistake);
      return nullptr;
    }
    return std::move(sampler).value();
  }

  static std::vector<Trial> propose(Sampler& sampler, int count, std::size_t objectives = 1) {
    std::vector<Trial> history;
    extend(sampler, history, count, objectives);
    return history;
  }
  static void extend(Sampler& sampler, std::vector<Trial>& history, int count, std::size_t objectives = 1) {
    while (static_cast<int>(history.size()) < count) {
      const int number = static_cast<int>(history.size());
      auto point = sampler.propose(history, number);
      if (!point) {
        return;
      }
      history.push_back({.number = number, .point = *std::move(point)});
      give_outcome(history.back(), objectives);
    }
  }
};

std::vector<Point> points_of(const std::vector<Trial>& trials) {
  std::vector<Point> points;
  for (const Trial& trial : trials) {
    points.push_back(trial.point);
  }
  return points;
}

constexpr int kTrials = 60;

#define SKIP_IF_REFUSED(sampler)                               \
  if (!(sampler)) {                                            \
    GTEST_SKIP() << GetParam() << " does not take this space"; \
  }

TEST_P(SamplerConformance, EveryPointLiesInTheSpaceAndHeedsItsConditions) {
  int refused = 0;
  for (const char* yaml : {kContinuous, kFinite}) {
    const Space space = space_from(yaml);
    const auto sampler = make(space);
    refused += sampler == nullptr ? 1 : 0;
    for (const Trial& trial : sampler != nullptr ? propose(*sampler, kTrials) : std::vector<Trial>{}) {
      EXPECT_TRUE(space.contains(trial.point)) << space.describe(trial.point);
    }
  }
  EXPECT_LT(refused, 2);
}

TEST_P(SamplerConformance, EveryPointSatisfiesTheRequirements) {
  for (const char* yaml : {kRequired, kFiniteRequired, kNarrow}) {
    const Space space = space_from(yaml);
    const auto sampler = make(space);
    for (const Trial& trial : sampler != nullptr ? propose(*sampler, kTrials) : std::vector<Trial>{}) {
      EXPECT_TRUE(space.contains(trial.point)) << space.describe(trial.point);
      EXPECT_TRUE(space.allows(trial.point)) << space.describe(trial.point);
    }
  }
}

TEST_P(SamplerConformance, WhatTheRequirementsLeaveOfAFiniteSpaceIsProposedOnceAndThenEnds) {
  const Space space = space_from(kFiniteRequired);
  std::set<Point> allowed;
  const auto everything = grid_points(Space(space.parameters()), 1000).value();
  for (const Point& point : everything) {
    if (space.allows(point)) {
      allowed.insert(point);
    }
  }
  const auto sampler = make(space);
  SKIP_IF_REFUSED(sampler);
  const std::vector<Trial> history = propose(*sampler, 1000);
  const std::vector<Point> points = points_of(history);
  EXPECT_EQ(points.size(), allowed.size());
  EXPECT_EQ(std::set<Point>(points.begin(), points.end()), allowed);
  EXPECT_EQ(sampler->propose(history, static_cast<int>(history.size())), std::nullopt);
}

// Known points, and the best of an earlier study.
SearchContext with_first_points(const Space& space) {
  const Node known = parse_yaml("[{width: 32, kind: a}, {kind: b, depth: 3}]", "try.yaml").value();
  SearchContext context{.space = &space, .seed = 1, .known = read_known_points(known, space, 1).value()};
  EarlierStudy study;
  const auto points = grid_points(space, 1000).value();
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double value = std::abs(static_cast<double>(i) - 9.5);
    study.trials.push_back({.number = static_cast<int>(i),
                            .point = points[i],
                            .state = TrialState::complete,
                            .scores = {{.epoch = 1, .values = {value}}},
                            .values = {value}});
  }
  context.earlier.push_back(std::move(study));
  return context;
}

TEST_P(SamplerConformance, TriesFirstWhatIsKnownAndRepeatsNothing) {
  const Space space = space_from(kFinite);
  const SearchContext context = with_first_points(space);
  const auto sampler = make_sampler(typed(GetParam()), context).value();
  const std::vector<Trial> history = propose(*sampler, 1000);
  const std::vector<Point> points = points_of(history);
  ASSERT_GT(points.size(), 3U);
  EXPECT_EQ(points[0], context.known[0]);
  EXPECT_EQ(points[1], context.known[1]);
  const auto& earlier = context.earlier[0].trials;
  EXPECT_TRUE(points[2] == earlier[9].point || points[2] == earlier[10].point) << space.describe(points[2]);
  EXPECT_EQ(std::set<Point>(points.begin(), points.end()).size(), points.size());
  EXPECT_EQ(points.size(), space.cardinality());
  for (std::size_t at = 0; at < history.size(); at += 3) {
    const std::span<const Trial> before(history.data(), at);
    const auto fresh = make_sampler(typed(GetParam()), context).value();
    EXPECT_EQ(fresh->propose(before, static_cast<int>(at)), history[at].point) << at;
    EXPECT_EQ(sampler->propose(before, static_cast<int>(at)), history[at].point) << at;
  }
}

TEST_P(SamplerConformance, IsAFunctionOfSeedHistoryAndNumber) {
  for (const char* yaml : {kContinuous, kFinite, kRequired, kFiniteRequired}) {
    const Space space = space_from(yaml);
    const auto sampler = make(space);
    if (sampler == nullptr) {
      continue;
    }
    const std::vector<Trial> history = propose(*sampler, kTrials);
    EXPECT_EQ(points_of(propose(*make(space), kTrials)), points_of(history));
    // The coordinator starts again in the middle of the study, with a sampler that remembers nothing …
    for (std::size_t at = 0; at < history.size(); at += 7) {
      const std::span<const Trial> before(history.data(), at);
      EXPECT_EQ(make(space)->propose(before, static_cast<int>(at)), history[at].point) << at;
      // … or asks again one that remembers too much.
      EXPECT_EQ(sampler->propose(before, static_cast<int>(at)), history[at].point) << at;
    }
  }
}

TEST_P(SamplerConformance, IsAFunctionOfSeedHistoryAndNumberAlsoWithAnEarlierStudy) {
  const Space space = space_from(kContinuous);
  SearchContext context{.space = &space, .seed = 1};
  EarlierStudy study;
  const Random random(5, "earlier study");
  for (int number = 0; number < 50; ++number) {
    const Random own = random.substream(static_cast<std::uint64_t>(number));
    std::vector<double> unit(space.size());
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = own.uniform(i);
    }
    study.trials.push_back({.number = number, .point = space.from_unit(unit)});
    give_outcome(study.trials.back(), 1);
    study.trials.back().state = number % 7 == 0 ? TrialState::failed : TrialState::complete;
  }
  context.earlier.push_back(std::move(study));
  auto made = make_sampler(typed(GetParam()), context);
  if (!made.ok()) {
    GTEST_SKIP() << GetParam() << " does not take this space";
  }
  const auto sampler = std::move(made).value();
  const std::vector<Trial> history = propose(*sampler, kTrials);
  for (std::size_t at = 0; at < history.size(); at += 7) {
    EXPECT_TRUE(space.contains(history[at].point));
    const std::span<const Trial> before(history.data(), at);
    const auto fresh = make_sampler(typed(GetParam()), context).value();
    EXPECT_EQ(fresh->propose(before, static_cast<int>(at)), history[at].point) << at;
    EXPECT_EQ(sampler->propose(before, static_cast<int>(at)), history[at].point) << at;
  }
}

TEST_P(SamplerConformance, AnotherSeedGivesOtherPoints) {
  const Space space = space_from(kContinuous);
  const auto sampler = make(space, 1);
  SKIP_IF_REFUSED(sampler);
  EXPECT_NE(points_of(propose(*sampler, 5)), points_of(propose(*make(space, 2), 5)));
}

TEST_P(SamplerConformance, ParallelProposalsDiffer) {
  const Space space = space_from(kContinuous);
  const auto sampler = make(space);
  SKIP_IF_REFUSED(sampler);
  std::vector<Trial> history = propose(*sampler, 30);
  std::set<Point> running;
  for (int number = 30; number < 50; ++number) {
    const auto point = sampler->propose(history, number);
    ASSERT_TRUE(point.has_value());
    EXPECT_TRUE(running.insert(*point).second) << space.describe(*point);
    history.push_back({.number = number, .point = *point, .state = TrialState::running});
  }
}

TEST_P(SamplerConformance, AFiniteSpaceIsProposedOncePointByPointAndThenEnds) {
  const Space space = space_from(kFinite);
  const auto sampler = make(space);
  SKIP_IF_REFUSED(sampler);
  const std::vector<Trial> history = propose(*sampler, 1000);
  const std::vector<Point> points = points_of(history);
  EXPECT_EQ(points.size(), space.cardinality());
  EXPECT_EQ(std::set<Point>(points.begin(), points.end()).size(), points.size());
  EXPECT_EQ(sampler->propose(history, static_cast<int>(history.size())), std::nullopt);
}

TEST_P(SamplerConformance, ASpaceWithoutParametersHasOnePoint) {
  const Space space;
  const auto sampler = make(space);
  SKIP_IF_REFUSED(sampler);
  EXPECT_EQ(propose(*sampler, 10).size(), 1U);
}

TEST_P(SamplerConformance, SurvivesAHistoryOfFailures) {
  const Space space = space_from(kContinuous);
  const auto sampler = make(space);
  SKIP_IF_REFUSED(sampler);
  std::vector<Trial> history;
  for (int number = 0; number < 40; ++number) {
    const auto point = sampler->propose(history, number);
    ASSERT_TRUE(point && space.contains(*point));
    const auto state = number % 2 == 0 ? TrialState::failed : TrialState::invalid;
    history.push_back({.number = number, .point = *point, .state = state});
  }
}

TEST_P(SamplerConformance, SurvivesEqualValues) {
  const Space space = space_from(kContinuous);
  const auto sampler = make(space);
  SKIP_IF_REFUSED(sampler);
  std::vector<Trial> history;
  for (int number = 0; number < 40; ++number) {
    const auto point = sampler->propose(history, number);
    ASSERT_TRUE(point && space.contains(*point));
    history.push_back({.number = number,
                       .point = *point,
                       .state = TrialState::complete,
                       .scores = {{.epoch = 1, .values = {0.5}}},
                       .values = {0.5}});
  }
}

TEST_P(SamplerConformance, TakesSeveralObjectivesOrRefusesThem) {
  const Space space = space_from(kFinite);
  const auto sampler = make(space, 1, 2);
  SKIP_IF_REFUSED(sampler);
  for (const Trial& trial : propose(*sampler, kTrials, 2)) {
    EXPECT_TRUE(space.contains(trial.point));
  }
}

TEST_P(SamplerConformance, UnknownOptionsAreRefused) {
  const Space space = space_from(kFinite);
  const auto refused =
      make_sampler(typed("{type: " + GetParam() + ", no_such_option: 1}"), {.space = &space, .seed = 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, Error::Kind::user_mistake);
}

std::string test_name(const testing::TestParamInfo<std::string>& each) {
  std::string name = each.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, SamplerConformance, testing::ValuesIn(sampler_names()), test_name);

}  // namespace
}  // namespace regatta

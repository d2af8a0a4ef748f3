// Population based training: who is replaced by whom, and where the new points lie.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "experiment/node.h"
#include "search/schedulers/perturb.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

Space space_from(const std::string& yaml) { return read_space(parse_yaml(yaml, "space").value()).value(); }

std::vector<std::size_t> all_of(const Space& space) {
  std::vector<std::size_t> all(space.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i] = i;
  }
  return all;
}

TEST(Perturb, NumbersMoveByAFifthAndWholeOnesByAStepAtLeast) {
  const Space space = space_from(
      "{lr: {float: [1e-5, 1], log: true}, width: {int: [1, 64]}, units: {int: [16, 256], step: 16},"
      " rate: {float: [0, 0.5], step: 0.1}, kind: {choice: [a, b]}}");
  const Point point = {0.01, 2, 64, 0.2, 1};
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Point moved = perturb(space, point, {all_of(space), 0}, Random(seed, "test"));
    EXPECT_TRUE(space.contains(moved)) << space.describe(moved);
    EXPECT_THAT(*moved[0], testing::AnyOf(testing::DoubleEq(0.008), testing::DoubleEq(0.012)));
    EXPECT_THAT(*moved[1], testing::AnyOf(1.0, 3.0));
    EXPECT_THAT(*moved[2], testing::AnyOf(48.0, 80.0));
    EXPECT_EQ(moved[4], 1.0);
  }
}

TEST(Perturb, AtTheEdgesOfTheRangePointsStayInside) {
  const Space space = space_from("{a: {float: [0.1, 1]}, b: {int: [1, 8]}, c: {float: [-1, 1]}}");
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    EXPECT_TRUE(space.contains(perturb(space, {1.0, 8, 1.0}, {all_of(space), 0}, Random(seed, "test"))));
    EXPECT_TRUE(space.contains(perturb(space, {0.1, 1, -1.0}, {all_of(space), 0}, Random(seed, "test"))));
  }
}

TEST(Perturb, OnlyTheNamedParametersChange) {
  const Space space = space_from("{lr: {float: [0.001, 1]}, width: {int: [1, 64]}}");
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Point moved = perturb(space, {0.01, 8}, {{0}, 0.5}, Random(seed, "test"));
    EXPECT_NE(moved[0], 0.01);
    EXPECT_EQ(moved[1], 8);
  }
}

TEST(Perturb, ConditionsAndRequirementsHold) {
  const Space free =
      space_from("{kind: {choice: [a, b]}, depth: {int: [1, 9], when: kind == b}, width: {int: [1, 64]}}");
  const Space space(free.parameters(),
                    {Expression::parse("width < 10", {"kind", "depth", "width"}, {}).value()});
  bool was_active = false;
  bool was_inactive = false;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Point moved = perturb(space, {0, std::nullopt, 9}, {all_of(space), 0.5}, Random(seed, "test"));
    EXPECT_TRUE(space.contains(moved) && space.allows(moved)) << space.describe(moved);
    (moved[1] ? was_active : was_inactive) = true;
  }
  EXPECT_TRUE(was_active && was_inactive);
}

// By the recorded facts alone: the latest values of those that train and of those that are complete.
TEST(Pbt, APoorMemberIsReplacedByAChildOfAGoodOne) {
  int children = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto scheduler = scheduler_from("{type: pbt, max_epochs: 12, interval: 3, population: 8}");
    // So few that there is one population only.
    const Regatta regatta =
        run_crews(*scheduler, {.crews = 1 + static_cast<int>(seed), .trials = 14, .seed = seed});
    ASSERT_TRUE(regatta.finished);
    std::map<int, double> latest;  // of running and paused trials
    for (const Fact& fact : regatta.facts) {
      if (const auto* reported = std::get_if<Reported>(&fact)) {
        const int number = reported->trial.number;
        latest[number] = reported->trial.scores.back().values[0];
        if (reported->ruling.verdict.action == Verdict::Action::stop) {
          const auto worse = std::count_if(latest.begin(), latest.end(), [&](const auto& each) {
            return std::pair(each.second, each.first) > std::pair(latest[number], number);
          });
          EXPECT_LT(worse, 2);  // a quarter of eight
          EXPECT_EQ(reported->trial.scores.back().epoch % 3, 0);
        }
        if (reported->ruling.verdict.action == Verdict::Action::stop) {
          latest.erase(number);
        }
      } else if (const auto* started = std::get_if<Started>(&fact)) {
        const auto* start = std::get_if<StartTrial>(&started->assignment);
        if (start == nullptr || !start->parent) {
          continue;
        }
        ++children;
        ASSERT_TRUE(latest.contains(*start->parent));
        const auto better = std::count_if(latest.begin(), latest.end(), [&](const auto& each) {
          const auto& trial = regatta.trials[static_cast<std::size_t>(each.first)];
          return trial.state != TrialState::complete && each.second < latest[*start->parent];
        });
        EXPECT_LT(better, 2);
        EXPECT_EQ(start->until_epoch % 3, 0);
      }
    }
  }
  EXPECT_GT(children, 80);
}

TEST(Pbt, AChildGoesOnWhereItsParentWas) {
  const auto scheduler = scheduler_from("{type: pbt, max_epochs: 12, interval: 3, population: 6}");
  const Regatta regatta = run_crews(*scheduler, {.crews = 3, .trials = 40, .seed = 4});
  int children = 0;
  for (const Trial& trial : regatta.trials) {
    if (regatta.parents[static_cast<std::size_t>(trial.number)] && !trial.scores.empty()) {
      ++children;
      EXPECT_GT(trial.scores.front().epoch, 3);
    }
  }
  EXPECT_GT(children, 3);
}

TEST(Pbt, APopulationTakesTurnsOnOneCrew) {
  const auto scheduler =
      scheduler_from("{type: pbt, max_epochs: 9, interval: 3, population: 4, quantile: 0}");
  const Regatta regatta = run_crews(*scheduler, {.crews = 1, .trials = 4, .seed = 1});
  for (const Trial& trial : regatta.trials) {
    EXPECT_EQ(trial.state, TrialState::complete);
  }
  std::vector<int> order;
  for (const Fact& fact : regatta.facts) {
    if (const auto* started = std::get_if<Started>(&fact)) {
      order.push_back(started->trial.number);
    }
  }
  // The one with the fewest epochs comes first; who has no more than the others goes on at once.
  EXPECT_THAT(order, testing::ElementsAre(0, 1, 2, 3, 0, 1, 2, 0, 1, 3));
}

TEST(Pbt, AnUnknownParameterIsRefusedWhereItStands) {
  const auto refused =
      make_scheduler(typed("{type: pbt, max_epochs: 9, perturb: [x, momentum]}"), one_parameter());
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, testing::HasSubstr("'momentum' is no parameter of the space"));
}

TEST(Pbt, APopulationThatEndsWithAFailureIsFollowedByAWholeOne) {
  const auto scheduler = scheduler_from("{type: pbt, max_epochs: 2, interval: 2, population: 3}");
  std::vector<Trial> trials;
  for (int number = 0; number < 3; ++number) {
    trials.push_back({.number = number, .point = {0.5}, .state = TrialState::running});
    scheduler->started(trials.back(), scheduler->next());
  }
  for (int number = 0; number < 2; ++number) {
    trials[static_cast<std::size_t>(number)].scores = {{.epoch = 2, .values = {1.0 * number}}};
    scheduler->reported(trials[static_cast<std::size_t>(number)]);
  }
  trials[2].state = TrialState::failed;
  scheduler->ended(trials[2]);
  for (int number = 3; number < 6; ++number) {
    const Assignment next = scheduler->next();
    ASSERT_TRUE(std::holds_alternative<StartTrial>(next)) << number << ": " << to_string(next);
    EXPECT_FALSE(std::get<StartTrial>(next).parent.has_value());
    scheduler->started({.number = number, .point = {0.5}, .state = TrialState::running}, next);
  }
}

}  // namespace
}  // namespace regatta

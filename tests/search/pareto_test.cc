// Fronts, crowding and hypervolume against their definitions, on small integers, so that ties are met.
#include "search/pareto.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "base/random.h"

namespace regatta {
namespace {

std::vector<Objectives> random_values(std::uint64_t seed, std::size_t count, std::size_t objectives,
                                      std::size_t levels) {
  const Random random(seed, "pareto test");
  std::vector<Objectives> values(count, Objectives(objectives));
  for (std::size_t i = 0; i < count * objectives; ++i) {
    values[i / objectives][i % objectives] = static_cast<double>(random.below(i, levels));
  }
  return values;
}

// Peels off what none of the rest dominates.
std::vector<std::size_t> slow_fronts(const std::vector<Objectives>& values) {
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> fronts(values.size(), kNone);
  for (std::size_t front = 0; std::count(fronts.begin(), fronts.end(), kNone) > 0; ++front) {
    const std::vector<std::size_t> before = fronts;
    for (std::size_t i = 0; i < values.size(); ++i) {
      bool dominated = false;
      for (std::size_t j = 0; j < values.size(); ++j) {
        dominated = dominated || (before[j] == kNone && dominates(values[j], values[i]));
      }
      if (before[i] == kNone && !dominated) {
        fronts[i] = front;
      }
    }
  }
  return fronts;
}

TEST(Dominance, NeedsOneBetterObjectiveAndNoWorseOne) {
  EXPECT_TRUE(dominates({1, 2}, {1, 3}));
  EXPECT_FALSE(dominates({1, 2}, {1, 2}));
  EXPECT_FALSE(dominates({1, 2}, {0, 3}));
}

TEST(NondominatedFronts, AreThoseOfTheDefinition) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const std::size_t objectives = 1 + seed % 4;
    const auto values = random_values(seed, 40, objectives, seed % 2 == 0 ? 5 : 100);
    EXPECT_EQ(nondominated_fronts(values), slow_fronts(values));
  }
}

TEST(Hypervolume, CountsTheCellsBelowTheReference) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const std::size_t objectives = 1 + seed % 4;
    const auto points = random_values(seed, 1 + seed % 15, objectives, 8);
    const Objectives reference(objectives, 6);
    std::size_t cells = 1;
    for (std::size_t i = 0; i < objectives; ++i) {
      cells *= 6;
    }
    double covered = 0;
    for (std::size_t cell = 0; cell < cells; ++cell) {
      Objectives corner(objectives);
      std::size_t rest = cell;
      for (double& coordinate : corner) {
        coordinate = static_cast<double>(rest % 6);
        rest /= 6;
      }
      covered += std::any_of(points.begin(), points.end(), [&](const Objectives& point) {
        return std::equal(point.begin(), point.end(), corner.begin(), std::less_equal<>());
      });
    }
    EXPECT_DOUBLE_EQ(hypervolume(points, reference), covered);
  }
}

TEST(Crowding, IsTheSumOfTheGapsBetweenNeighbours) {
  const std::vector<Objectives> front = {{0, 10}, {1, 8}, {4, 2}, {10, 0}};
  const double infinite = std::numeric_limits<double>::infinity();
  EXPECT_THAT(crowding_distances(front), testing::ElementsAre(infinite, testing::DoubleEq(0.4 + 0.8),
                                                              testing::DoubleEq(0.9 + 0.8), infinite));
}

TEST(ParetoOrder, PutsLonelyTrialsOfTheFirstFrontFirst) {
  const std::vector<Objectives> values = {{5, 9}, {1, 8}, {4, 2}, {1.1, 7.9}, {10, 0}, {0, 10}};
  const std::vector<std::size_t> order = pareto_order(values);
  EXPECT_THAT(order, testing::ElementsAre(4, 5, 2, 3, 1, 0));
}

}  // namespace
}  // namespace regatta

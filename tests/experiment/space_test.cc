// Spaces: the unit cube there and back, conditions, and membership.
#include "experiment/space.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "base/random.h"

namespace regatta {
namespace {

Space space_of(std::string_view yaml) {
  const auto node = parse_yaml(yaml, "exp.yaml");
  EXPECT_TRUE(node.ok()) << node.error().message;
  auto space = read_space(*node);
  EXPECT_TRUE(space.ok()) << space.error().message;
  return space.ok() ? *space : Space();
}

constexpr std::string_view kMixed = R"(
rate: {float: [1e-6, 10], log: true}
shift: {float: [-3, 7]}
huge: {float: [-1e308, 1e308]}
drop: {float: [0.1, 0.9], step: 0.1}
width: {int: [16, 250], step: 16}
depth: {int: [-4, 3]}
units: {int: [1, 4096], log: true}
many: {int: [1, 1000000000000], log: true}
wide: {int: [-1000000000000000, 1000000000000000]}
one: {int: [5, 5]}
optimizer: {choice: [sgd, adam, 3, true, null]}
momentum: {float: [0.8, 0.99], when: optimizer == sgd}
nesterov: {choice: [true, false], when: momentum > 0.9}
)";

TEST(Space, ComesBackFromTheUnitCubeToTheSamePoint) {
  const Space space = space_of(kMixed);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Random random(seed, "unit points");
    std::vector<double> unit;
    for (std::size_t i = 0; i < space.size(); ++i) {
      unit.push_back(random.uniform(i));
    }
    const Point point = space.from_unit(unit);
    ASSERT_TRUE(space.contains(point)) << "seed " << seed << " " << space.describe(point);
    const std::vector<double> back = space.to_unit(point);
    const Point again = space.from_unit(back);
    for (std::size_t i = 0; i < space.size(); ++i) {
      const Parameter& parameter = space.parameters()[i];
      const std::string where = "seed " + std::to_string(seed) + " parameter " + parameter.name;
      ASSERT_GE(back[i], 0) << where;
      ASSERT_LT(back[i], 1) << where;
      ASSERT_EQ(point[i].has_value(), again[i].has_value()) << where;
      if (!point[i]) {
        ASSERT_EQ(back[i], 0.5) << where;
      } else if (parameter.cardinality()) {
        ASSERT_EQ(*point[i], *again[i]) << where;
      } else {
        ASSERT_NEAR(back[i], unit[i], 1e-12) << where;
        ASSERT_NEAR(*point[i] / *again[i], 1, 1e-9) << where;
      }
    }
  }
}

TEST(Space, ReachesBothEndsAndNeverLeavesTheUnitInterval) {
  const Space space = space_of(kMixed);
  const std::vector<double> low_unit(space.size(), 0.0);
  const std::vector<double> high_unit(space.size(), std::nextafter(1.0, 0.0));
  for (const std::vector<double>& unit : {low_unit, high_unit, std::vector<double>(space.size(), 1.0)}) {
    const Point point = space.from_unit(unit);
    EXPECT_TRUE(space.contains(point)) << space.describe(point);
    for (const double coordinate : space.to_unit(point)) {
      EXPECT_GE(coordinate, 0);
      EXPECT_LT(coordinate, 1);
    }
  }
  EXPECT_EQ(space.from_unit(low_unit)[*space.index_of("units")], 1);
  EXPECT_EQ(space.from_unit(high_unit)[*space.index_of("units")], 4096);
  EXPECT_EQ(space.from_unit(low_unit)[*space.index_of("drop")], 0.1);
  EXPECT_EQ(space.from_unit(high_unit)[*space.index_of("drop")], 0.9);
  EXPECT_EQ(space.from_unit(high_unit)[*space.index_of("width")], 240);
}

TEST(Space, GivesIntegersStepsAndChoicesEqualShares) {
  for (const char* yaml :
       {"x: {int: [3, 10]}", "x: {float: [0, 0.7], step: 0.1}", "x: {choice: [a, b, c, d, e, f, g, h]}"}) {
    const Space space = space_of(yaml);
    std::map<double, int> shares;
    for (int i = 0; i < 800; ++i) {
      ++shares[*space.from_unit(std::vector<double>{(i + 0.5) / 800})[0]];
    }
    ASSERT_EQ(shares.size(), 8u) << yaml;
    for (const auto& [value, count] : shares) {
      EXPECT_EQ(count, 100) << yaml << " " << value;
    }
  }
}

// The share of n is log((n + ½) / (n - ½)): the first integer must not get half of what the formula gives it.
TEST(Space, GivesLogIntegersTheSharesOfTheirLogarithms) {
  const Space space = space_of("x: {int: [1, 8], log: true}");
  constexpr int kDraws = 100'000;
  std::map<double, int> shares;
  for (int i = 0; i < kDraws; ++i) {
    ++shares[*space.from_unit(std::vector<double>{(i + 0.5) / kDraws})[0]];
  }
  ASSERT_EQ(shares.size(), 8u);
  for (const auto& [value, count] : shares) {
    const double expected = std::log((value + 0.5) / (value - 0.5)) / std::log(8.5 / 0.5);
    EXPECT_NEAR(count / static_cast<double>(kDraws), expected, 1e-4) << value;
  }
}

TEST(Space, IsUniformInTheLogarithmOfLogRanges) {
  const Space space = space_of("x: {float: [1e-4, 1], log: true}");
  EXPECT_NEAR(*space.from_unit(std::vector<double>{0.5})[0], 1e-2, 1e-12);
  EXPECT_NEAR(*space.from_unit(std::vector<double>{0.25})[0], 1e-3, 1e-12);
}

TEST(Space, WritesStepsAsAUserWould) {
  const Space space = space_of("x: {float: [-0.3, 0.4], step: 0.1}");
  std::vector<std::string> values;
  for (std::uint64_t k = 0; k < *space.parameters()[0].cardinality(); ++k) {
    values.push_back(to_string(*space.value({space.parameters()[0].nth(k)}, 0)));
  }
  EXPECT_THAT(values, testing::ElementsAre("-0.3", "-0.2", "-0.1", "0.0", "0.1", "0.2", "0.3", "0.4"));
}

TEST(Space, GivesTheUsersValues) {
  const Space space =
      space_of("a: {float: [0, 1]}\nb: {int: [0, 9]}\nc: {choice: [sgd, 3, 0.5, true, null]}\n");
  EXPECT_EQ(space.describe({0.25, 3, 0}), "{a: 0.25, b: 3, c: sgd}");
  EXPECT_EQ(space.describe({1, 3, 2}), "{a: 1.0, b: 3, c: 0.5}");
  EXPECT_EQ(*space.value({0, 0, 1}, 2), Value(std::int64_t{3}));
  EXPECT_EQ(*space.value({0, 0, 3}, 2), Value(true));
  EXPECT_EQ(*space.value({0, 0, 4}, 2), Value(nullptr));
  EXPECT_EQ(*space.value({0, 7, 4}, 1), Value(std::int64_t{7}));
}

TEST(Space, LeavesOutWhatIsInactiveThroughAChainOfConditions) {
  const Space space = space_of(R"(
kind: {choice: [cnn, mlp]}
blocks: {int: [1, 3], when: kind == cnn}
skip: {choice: [true, false], when: blocks >= 2}
alpha: {float: [0, 1], when: skip}
)");
  const Point all = {0, 3, 0, 0.5};
  EXPECT_EQ(space.drop_inactive(all), all);
  EXPECT_EQ(space.drop_inactive({1, 3, 0, 0.5}), (Point{1, std::nullopt, std::nullopt, std::nullopt}));
  EXPECT_EQ(space.drop_inactive({0, 1, 0, 0.5}), (Point{0, 1, std::nullopt, std::nullopt}));
  EXPECT_EQ(space.drop_inactive({0, 2, 1, 0.5}), (Point{0, 2, 1, std::nullopt}));
  EXPECT_EQ(space.from_unit(std::vector<double>{0.9, 0.9, 0.1, 0.5}),
            (Point{1, std::nullopt, std::nullopt, std::nullopt}));
  EXPECT_EQ(space.describe({1, std::nullopt, std::nullopt, std::nullopt}), "{kind: mlp}");
}

TEST(Space, TakesAUsersValueWhereItsDomainHasIt) {
  const Space space = space_of(kMixed);
  const auto encode = [&](const char* name, const Value& value) {
    return space.parameters()[*space.index_of(name)].encode(value);
  };
  EXPECT_EQ(encode("optimizer", Value(std::string("adam"))), 1.0);
  EXPECT_EQ(encode("optimizer", Value(3.0)), 2.0);
  EXPECT_EQ(encode("optimizer", Value(nullptr)), 4.0);
  EXPECT_EQ(encode("optimizer", Value(std::string("3"))), std::nullopt);
  EXPECT_EQ(encode("width", Value(32.0)), 32.0);
  EXPECT_EQ(encode("width", Value(std::int64_t{33})), std::nullopt);
  EXPECT_EQ(encode("width", Value(std::string("32"))), std::nullopt);
  EXPECT_EQ(encode("drop", Value(0.1 + 0.2)), 0.3);  // as the domain writes it
  EXPECT_EQ(encode("drop", Value(0.35)), std::nullopt);
  EXPECT_EQ(encode("rate", Value(std::int64_t{10})), 10.0);
  EXPECT_EQ(encode("rate", Value(11.0)), std::nullopt);
}

TEST(Space, ContainsExactlyTheValuesOfItsDomains) {
  const Space space = space_of(
      "f: {float: [0, 1], step: 0.25}\ni: {int: [2, 10], step: 4}\nc: {choice: [a, b]}\n"
      "w: {float: [0, 1], when: c == b}\n");
  EXPECT_TRUE(space.contains({0.75, 6, 1, 0.3}));
  EXPECT_TRUE(space.contains({0, 10, 0, std::nullopt}));
  const Point outside[] = {
      {0.3, 6, 1, 0.3},          {1.25, 6, 1, 0.3},  {-0.25, 6, 1, 0.3},        {NAN, 6, 1, 0.3},
      {0.5, 4, 1, 0.3},          {0.5, 6.5, 1, 0.3}, {0.5, 14, 1, 0.3},         {0.5, 6, 2, 0.3},
      {0.5, 6, -1, 0.3},         {0.5, 6, 0, 0.3},   {0.5, 6, 1, std::nullopt}, {0.5, 6, 1, 1.1},
      {std::nullopt, 6, 1, 0.3}, {0.5, 6, 1},        {0.5, 6, 1, INFINITY},
  };
  for (const Point& point : outside) {
    EXPECT_FALSE(space.contains(point)) << testing::PrintToString(point);
  }
}

}  // namespace
}  // namespace regatta

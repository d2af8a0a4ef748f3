// Counting and listing points: conditions respected, nothing twice, nothing left out.
#include <gmock/gmock.h>

#include <set>

#include "experiment/experiment.h"

namespace regatta {
namespace {

using testing::HasSubstr;

Space space_of(std::string_view yaml) {
  const auto node = parse_yaml(yaml, "exp.yaml");
  EXPECT_TRUE(node.ok()) << node.error().message;
  auto space = read_space(*node);
  EXPECT_TRUE(space.ok()) << space.error().message;
  return space.ok() ? *space : Space();
}

constexpr std::string_view kConditional = R"(
kind: {choice: [cnn, mlp]}
blocks: {int: [1, 3], when: kind == cnn}
skip: {choice: [true, false], when: blocks >= 2}
units: {int: [8, 64], step: 8, when: kind == mlp}
drop: {float: [0, 0.5], step: 0.25}
)";

TEST(Cardinality, CountsDistinctPointsUnderConditions) {
  // cnn: blocks 1, or 2 and 3 with skip or not: 5; mlp: 8 widths; times 3 rates of dropout.
  EXPECT_EQ(space_of(kConditional).cardinality(), (5 + 8) * 3);
  EXPECT_EQ(Space().cardinality(), 1);
  EXPECT_EQ(space_of("a: {int: [1, 4]}\nb: {choice: [x, y, z]}").cardinality(), 12);
  EXPECT_EQ(space_of("a: {float: [0, 1], step: 0.1}").cardinality(), 11);
  EXPECT_EQ(space_of("a: {float: [0, 1], step: 0.3}").cardinality(), 4);
}

TEST(Cardinality, MultipliesLargeRangesThatNoConditionMentions) {
  EXPECT_EQ(space_of("a: {int: [1, 1000000000]}\nc: {choice: [x, y]}\nb: {int: [1, 1000], when: c == y}\n")
                .cardinality(),
            1'000'000'000ull * 1001);
}

TEST(Cardinality, IsUnknownForContinuousAndForOverlargeSpaces) {
  EXPECT_EQ(space_of("a: {float: [0, 1]}").cardinality(), std::nullopt);
  EXPECT_EQ(space_of("a: {int: [1, 1000000000]}\nb: {int: [1, 1000000000]}").cardinality(), std::nullopt);
  EXPECT_EQ(space_of("a: {int: [1, 1000000000]}\nb: {int: [1, 2], when: a > 5}").cardinality(), std::nullopt);
}

// Whatever the conditions and requirements, what is counted and listed is what a walk over all points finds.
TEST(Requirements, CountAndListAgreeWithBruteForce) {
  for (const std::string_view require :
       {"w * d < 12", "[w > 3, d != 2]", "not (w == 1 and s == 0.5)", "k == b", "d > 7"}) {
    const std::string parameters =
        "w: {int: [1, 6]}\nk: {choice: [a, b]}\nd: {int: [1, 5], when: k == b}\ns: {float: [0, 1], step: "
        "0.25}\n";
    const Space space = space_of(parameters + "require: " + std::string(require));
    std::set<Point> allowed;
    const auto everything = grid_points(space_of(parameters), 1000).value();
    for (const Point& point : everything) {
      if (space.allows(point)) {
        allowed.insert(point);
      }
    }
    const auto listed = grid_points(space, 1000).value();
    EXPECT_EQ(std::set<Point>(listed.begin(), listed.end()), allowed) << require;
    EXPECT_EQ(listed.size(), allowed.size()) << require;
    EXPECT_EQ(space.cardinality(), allowed.size()) << require;
  }
}

TEST(Requirements, ApplyOnlyWhereAllTheirParametersAreActive) {
  const Space space = space_of("k: {choice: [a, b]}\nd: {int: [1, 4], when: k == b}\nrequire: d < 3");
  EXPECT_EQ(space.cardinality(), 1 + 2);
  EXPECT_TRUE(space.allows({0.0, std::nullopt}));
  EXPECT_FALSE(space.allows({1.0, 3.0}));
}

TEST(Requirements, AllowedDrawsShowTheShareThatIsLeft) {
  const Space space = space_of("x: {float: [0, 1]}\ny: {float: [0, 1]}\nrequire: x + y < 0.5");
  const double share = static_cast<double>(allowed_draws(space).size()) / kAllowanceDraws;
  EXPECT_NEAR(share, 0.125, 0.01);
  EXPECT_EQ(allowed_draws(space, 3).size(), 3U);
  EXPECT_EQ(allowed_draws(space_of("x: {float: [0, 1]}")).size(), kAllowanceDraws);
}

TEST(Requirements, AreMetByTheRepresentativePoints) {
  const Space space = space_of(
      "w: {int: [1, 64]}\nd: {int: [1, 64]}\nk: {choice: [a, b, c]}\nrequire: [w * d < 512, w > 8, d > 8]");
  std::set<double> choices;
  for (const Point& point : representative_points(space)) {
    EXPECT_TRUE(space.contains(point) && space.allows(point)) << space.describe(point);
    choices.insert(*point[2]);
  }
  EXPECT_EQ(choices.size(), 3U);
}

TEST(Requirements, ThatAllowAPointInTenThousandAreNoMistakeWhereItCanBeCounted) {
  const Space space = space_of("a: {int: [1, 300]}\nb: {int: [1, 300]}\nrequire: a + b == 3");
  EXPECT_EQ(space.cardinality(), 2);
  for (const Point& point : representative_points(space)) {
    EXPECT_TRUE(space.allows(point));
  }
  EXPECT_FALSE(representative_points(space).empty());
}

TEST(Grid, ListsEveryDistinctPointOnceWithTheLastParameterFastest) {
  const Space space =
      space_of("a: {choice: [x, y]}\nb: {int: [1, 3], when: a == x}\nc: {float: [0, 1], step: 0.5}\n");
  const auto points = grid_points(space, 100);
  ASSERT_TRUE(points.ok()) << points.error().message;
  std::vector<std::string> words;
  for (const Point& point : *points) {
    words.push_back(space.describe(point));
  }
  EXPECT_THAT(words,
              testing::ElementsAre("{a: x, b: 1, c: 0.0}", "{a: x, b: 1, c: 0.5}", "{a: x, b: 1, c: 1.0}",
                                   "{a: x, b: 2, c: 0.0}", "{a: x, b: 2, c: 0.5}", "{a: x, b: 2, c: 1.0}",
                                   "{a: x, b: 3, c: 0.0}", "{a: x, b: 3, c: 0.5}", "{a: x, b: 3, c: 1.0}",
                                   "{a: y, c: 0.0}", "{a: y, c: 0.5}", "{a: y, c: 1.0}"));
}

TEST(Grid, HasAsManyPointsAsTheCardinalitySaysAllOfThemInTheSpace) {
  const Space space = space_of(kConditional);
  const auto points = grid_points(space, 1000);
  ASSERT_TRUE(points.ok());
  EXPECT_EQ(points->size(), space.cardinality());
  EXPECT_EQ(std::set<Point>(points->begin(), points->end()).size(), points->size());
  for (const Point& point : *points) {
    EXPECT_TRUE(space.contains(point)) << space.describe(point);
  }
}

TEST(Grid, OfAnEmptySpaceIsOnePoint) { EXPECT_EQ(grid_points(Space(), 1)->size(), 1u); }

TEST(Grid, RefusesContinuousRangesByName) {
  const auto linear = grid_points(space_of("a: {int: [1, 2]}\nlr: {float: [0, 1]}"), 100);
  ASSERT_FALSE(linear.ok());
  EXPECT_EQ(linear.error().message,
            "exp.yaml:2:1: a grid needs a finite number of values for 'lr'; give it a step");
  const auto log = grid_points(space_of("lr: {float: [1e-3, 1], log: true}"), 100);
  ASSERT_FALSE(log.ok());
  EXPECT_THAT(log.error().message, HasSubstr("give it its values as {choice: […]}"));
}

TEST(Grid, RefusesMoreThanTheLimitAndTakesExactlyIt) {
  const Space space = space_of("a: {int: [1, 50]}\nb: {int: [1, 50]}");
  EXPECT_TRUE(grid_points(space, 2500).ok());
  const auto points = grid_points(space, 2499);
  ASSERT_FALSE(points.ok());
  EXPECT_THAT(points.error().message,
              HasSubstr("exp.yaml:1:1: the grid has 2,500 points, and at most 2,499"));
}

// Per parameter, the words of all values that some point gives it.
std::vector<std::set<std::string>> values_taken(const Space& space, const std::vector<Point>& points) {
  std::vector<std::set<std::string>> taken(space.size());
  for (const Point& point : points) {
    EXPECT_TRUE(space.contains(point)) << space.describe(point);
    for (std::size_t i = 0; i < space.size(); ++i) {
      if (const auto value = space.value(point, i)) {
        taken[i].insert(to_string(*value));
      }
    }
  }
  return taken;
}

TEST(RepresentativePoints, TakeEveryChoiceAndBothEndsOfEveryRange) {
  const Space space = space_of(R"(
lr: {float: [0.5, 2], log: true}
kind: {choice: [a, b, c]}
p: {choice: [u, v, w], when: kind == b}
q: {int: [3, 9], step: 2, when: p == w}
)");
  const auto taken = values_taken(space, representative_points(space));
  EXPECT_THAT(taken[0], testing::ElementsAre("0.5", "2.0"));
  EXPECT_THAT(taken[1], testing::ElementsAre("a", "b", "c"));
  EXPECT_THAT(taken[2], testing::ElementsAre("u", "v", "w"));
  EXPECT_THAT(taken[3], testing::ElementsAre("3", "9"));
}

TEST(RepresentativePoints, FindTheValuesThatConditionsOnRangesAskFor) {
  const Space space = space_of(R"(
depth: {int: [1, 1000]}
rate: {float: [0, 1]}
exact: {choice: [u, v], when: depth == 37}
inside: {choice: [x, y], when: rate > 0.3 and rate < 0.6}
)");
  const auto taken = values_taken(space, representative_points(space));
  EXPECT_THAT(taken[2], testing::ElementsAre("u", "v"));
  EXPECT_THAT(taken[3], testing::ElementsAre("x", "y"));
}

TEST(RepresentativePoints, AreOneEmptyPointForAnEmptySpace) {
  EXPECT_THAT(representative_points(Space()), testing::ElementsAre(Point{}));
}

}  // namespace
}  // namespace regatta

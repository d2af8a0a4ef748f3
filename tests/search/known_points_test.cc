// search.try: complete and partial points, and every way to get them wrong.
#include "search/known_points.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "search/sampler.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

constexpr const char* kSpace =
    "{lr: {float: [0.001, 1], log: true}, width: {int: [16, 64], step: 16}, opt: {choice: [sgd, adam]},"
    " momentum: {float: [0, 1], step: 0.1, when: opt == sgd}, require: width * lr < 32}";

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

Result<std::vector<Point>> read(const std::string& points, std::uint64_t seed = 1) {
  const Node node = parse_yaml(points, "try.yaml").value();
  return read_known_points(node, space_from(kSpace), seed);
}

TEST(KnownPoints, TakeWhatIsGivenAsItIs) {
  const auto points =
      read("[{lr: 0.01, width: 32, opt: adam}, {momentum: 0.3, opt: sgd, width: 48.0, lr: 0.5}]").value();
  ASSERT_EQ(points.size(), 2U);
  EXPECT_EQ(points[0], (Point{0.01, 32.0, 1.0, std::nullopt}));
  EXPECT_EQ(points[1], (Point{0.5, 48.0, 0.0, 0.3}));
}

TEST(KnownPoints, AreCompletedBySeedSuchThatWhatIsGivenExists) {
  const Space space = space_from(kSpace);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto points = read("[{momentum: 0.9}, {lr: 0.9}, {lr: 0.9}]", seed).value();
    for (const Point& point : points) {
      EXPECT_TRUE(space.contains(point) && space.allows(point)) << space.describe(point);
    }
    EXPECT_EQ(points[0][3], 0.9);
    EXPECT_EQ(points[0][2], 0.0);  // momentum exists with sgd only
    EXPECT_EQ(points[1][0], 0.9);
    EXPECT_NE(points[1], points[2]);
    EXPECT_EQ(read("[{momentum: 0.9}, {lr: 0.9}, {lr: 0.9}]", seed).value(), points);
  }
  EXPECT_NE(read("[{opt: adam}]", 1).value(), read("[{opt: adam}]", 2).value());
}

TEST(KnownPoints, MistakesAreToldWithTheirPlaceAndWhatIsAllowed) {
  struct Case {
    const char* points;
    const char* message;
  };
  const Case cases[] = {
      {"{lr: 1}", "try.yaml:1:1: expected a list of points to try, such as [{lr: 0.01}], not a map"},
      {"[3]", "try.yaml:1:2: expected a point to try, such as {lr: 0.01}, not a number"},
      {"[{}]", "try.yaml:1:2: expected a point to try, such as {lr: 0.01}, not an empty map"},
      {"[{widht: 16}]", "try.yaml:1:3: 'widht' is no parameter of the space (did you mean 'width'?)"},
      {"[{lr: 3}]", "try.yaml:1:7: 'lr' is a number from 0.001 to 1, logarithmic, never 3"},
      {"[{lr: [1]}]", "try.yaml:1:7: expected a value of the parameter 'lr', not a list"},
      {"[{width: 17}]", "try.yaml:1:10: 'width' is an integer from 16 to 64, step 16, never 17"},
      {"[{opt: addam}]", "try.yaml:1:8: 'opt' is one of sgd, adam, never addam (did you mean 'adam'?)"},
      {"[{opt: adam, momentum: 0.5}]",
       "try.yaml:1:14: 'momentum' does not exist at this point: it needs 'opt == sgd'"},
      {"[{lr: 0.9, width: 64}]", "try.yaml:1:2: this point breaks the requirement 'width * lr < 32'"},
      {"[{lr: 0.1, width: 16, opt: adam}, {lr: 0.1, width: 16, opt: adam}]",
       "try.yaml:1:35: this point stands twice"},
  };
  for (const Case& each : cases) {
    const auto refused = read(each.points);
    ASSERT_FALSE(refused.ok()) << each.points;
    EXPECT_EQ(refused.error().kind, Error::Kind::user_mistake);
    EXPECT_EQ(refused.error().message, each.message);
  }
}

// One that the study has seen, for example as its scheduler's own choice, is not tried again.
TEST(KnownPoints, AreTriedOnceEach) {
  const Space space = space_from("{n: {int: [1, 6]}}");
  const SearchContext context{.space = &space, .seed = 3, .known = {{4.0}, {2.0}}};
  const auto sampler = make_sampler(typed("random"), context).value();
  std::vector<Trial> history = {{.number = 0, .point = {4.0}}};
  EXPECT_EQ(sampler->propose(history, 1), Point{2.0});
  history.push_back({.number = 1, .point = {2.0}});
  const auto next = sampler->propose(history, 2);
  ASSERT_TRUE(next.has_value());
  EXPECT_NE(*next, Point{4.0});
  EXPECT_NE(*next, Point{2.0});
}

TEST(KnownPoints, AGridGoesOnWithThePointsThatAreLeft) {
  const Space space = space_from("{n: {int: [1, 4]}}");
  const auto sampler = make_sampler(typed("grid"), {.space = &space, .known = {{3.0}}}).value();
  std::vector<Trial> history;
  std::vector<double> values;
  while (auto point = sampler->propose(history, static_cast<int>(history.size()))) {
    values.push_back(*point->front());
    history.push_back({.number = static_cast<int>(history.size()), .point = *std::move(point)});
  }
  EXPECT_THAT(values, testing::ElementsAre(3, 1, 2, 4));
}

}  // namespace
}  // namespace regatta

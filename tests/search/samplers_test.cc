// Grid, random and Sobol: what each promises beyond the contract that all samplers share.
#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "search/sampler.h"
#include "search/samplers/sobol_sequence.h"
#include "tests/search/simulated_crews.h"

namespace regatta {
namespace {

Space space_from(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "space.yaml").value();
  return read_space(node).value();
}

std::unique_ptr<Sampler> sampler_from(const std::string& name, const Space& space, std::uint64_t seed = 1) {
  return make_sampler(typed(name), {.space = &space, .seed = seed}).value();
}

std::vector<Trial> propose_all(Sampler& sampler, int count) {
  std::vector<Trial> history;
  for (int number = 0; number < count; ++number) {
    auto point = sampler.propose(history, number);
    if (!point) {
      break;
    }
    history.push_back({.number = number, .point = *std::move(point)});
  }
  return history;
}

TEST(Grid, FollowsTheOrderOfTheSpaceAndEnds) {
  const Space space = space_from("{a: {int: [1, 2]}, b: {choice: [x, y]}, c: {int: [5, 6], when: b == y}}");
  const auto sampler = sampler_from("grid", space);
  std::vector<std::string> points;
  for (const Trial& trial : propose_all(*sampler, 100)) {
    points.push_back(space.describe(trial.point));
  }
  EXPECT_THAT(points, testing::ElementsAre("{a: 1, b: x}", "{a: 1, b: y, c: 5}", "{a: 1, b: y, c: 6}",
                                           "{a: 2, b: x}", "{a: 2, b: y, c: 5}", "{a: 2, b: y, c: 6}"));
}

TEST(Grid, RefusesAContinuousParameterByName) {
  const Space space = space_from("{n: {int: [1, 2]}, rate: {float: [0, 1]}}");
  const auto refused = make_sampler(typed("grid"), {.space = &space});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("rate"));
}

TEST(Random, FillsTheRangeUniformly) {
  const Space space = space_from("{x: {float: [0, 1]}, rate: {float: [1e-4, 1], log: true}}");
  const auto sampler = sampler_from("random", space);
  double sum = 0;
  int below_hundredth = 0;
  constexpr int kCount = 4000;
  for (const Trial& trial : propose_all(*sampler, kCount)) {
    sum += *trial.point[0];
    below_hundredth += *trial.point[1] < 1e-2 ? 1 : 0;
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.02);
  EXPECT_NEAR(below_hundredth / static_cast<double>(kCount), 0.5, 0.03);
}

TEST(Random, ALargeFiniteSpaceIsDrawnWithoutReplacement) {
  const Space space = space_from("{a: {int: [1, 300]}, b: {int: [1, 300]}}");  // too many to list
  const auto sampler = sampler_from("random", space);
  std::set<Point> points;
  for (const Trial& trial : propose_all(*sampler, 1500)) {  // about a dozen would repeat by chance
    EXPECT_TRUE(points.insert(trial.point).second) << trial.number;
  }
}

TEST(OwenScramble, PermutesTheIntervalsOfEveryLength) {
  for (const std::uint32_t seed : {0U, 1U, 0xDEADBEEFU}) {
    for (const int bits : {1, 2, 5, 9}) {
      std::set<std::uint32_t> images;
      for (std::uint32_t i = 0; i < 1U << bits; ++i) {
        const std::uint32_t image = owen_scramble(i << (32 - bits), seed) >> (32 - bits);
        EXPECT_EQ(owen_scramble((i << (32 - bits)) | 1U, seed) >> (32 - bits), image);
        images.insert(image);
      }
      EXPECT_EQ(images.size(), 1U << bits);
    }
  }
}

TEST(SobolSequence, EachIntervalIsHitOnceInEveryDimension) {
  constexpr std::size_t kDimensions = 40;
  SobolSequence sequence(kDimensions, Random(3, "test"));
  for (const int count : {2, 16, 256, 1024}) {
    std::vector<std::set<int>> hit(kDimensions);
    for (int index = 0; index < count; ++index) {
      const auto point = sequence.point(static_cast<std::uint64_t>(index));
      for (std::size_t i = 0; i < kDimensions; ++i) {
        ASSERT_GE(point[i], 0);
        ASSERT_LT(point[i], 1);
        hit[i].insert(static_cast<int>(point[i] * count));
      }
    }
    for (std::size_t i = 0; i < kDimensions; ++i) {
      EXPECT_EQ(hit[i].size(), static_cast<std::size_t>(count)) << "dimension " << i;
    }
  }
}

TEST(SobolSequence, TheFirstTwoDimensionsFormANet) {
  // A (0, m, 2)-net: every box of area 2^-8 holds one of the first 2^8 points, whatever its shape.
  SobolSequence sequence(2, Random(9, "test"));
  for (int wide = 0; wide <= 8; ++wide) {
    std::set<std::pair<int, int>> boxes;
    for (std::uint64_t index = 0; index < 256; ++index) {
      const auto point = sequence.point(index);
      boxes.emplace(static_cast<int>(std::ldexp(point[0], wide)),
                    static_cast<int>(std::ldexp(point[1], 8 - wide)));
    }
    EXPECT_EQ(boxes.size(), 256U) << wide;
  }
}

TEST(SobolSequence, IsAFunctionOfSeedAndIndex) {
  SobolSequence forward(5, Random(1, "test"));
  SobolSequence backward(5, Random(1, "test"));
  SobolSequence other(5, Random(2, "test"));
  std::vector<std::vector<double>> points;
  for (std::uint64_t index = 0; index < 70; ++index) {
    points.push_back(forward.point(index));
    EXPECT_NE(points.back(), other.point(index));
  }
  for (std::uint64_t index = 70; index-- > 0;) {
    EXPECT_EQ(backward.point(index), points[index]);
    EXPECT_EQ(backward.point(index), points[index]);
  }
}

TEST(Sobol, RefusesMoreParametersThanItsTableHas) {
  std::vector<Parameter> parameters(SobolSequence::kMaxDimensions + 1);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters[i] = {.name = "p" + std::to_string(i), .domain = FloatDomain{}};
  }
  const Space space(parameters);
  const auto refused = make_sampler(typed("sobol"), {.space = &space});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              testing::HasSubstr("test.yaml:1:1: the sobol sampler takes at most 3667"));

  parameters.pop_back();
  const Space largest(parameters);
  EXPECT_TRUE(sampler_from("sobol", largest)->propose({}, 0).has_value());
}

TEST(Samplers, AMistypedNameIsAnsweredWithTheNearest) {
  const Space space = space_from("{x: {float: [0, 1]}}");
  const auto refused = make_sampler(typed("sobool"), {.space = &space});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message,
              testing::StartsWith("test.yaml:1:1: 'sobool' is not a sampler: expected "));
  EXPECT_THAT(refused.error().message, testing::HasSubstr("(did you mean 'sobol'?)"));
}

}  // namespace
}  // namespace regatta

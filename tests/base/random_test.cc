// Random numbers: the published test vectors of Philox, and what the rest relies on.
#include "base/random.h"

#include <gmock/gmock.h>

#include <cmath>
#include <set>

namespace regatta {
namespace {

// Known-answer vectors of the Random123 distribution, file kat_vectors, philox 4x32 10.
TEST(Philox, MatchesThePublishedVectors) {
  EXPECT_THAT(philox4x32({0, 0, 0, 0}, {0, 0}),
              testing::ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
              testing::ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              testing::ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST(Random, IsAFunctionOfSeedStreamAndIndex) {
  EXPECT_EQ(Random(7, "a").bits(3), Random(7, "a").bits(3));
  EXPECT_NE(Random(7, "a").bits(3), Random(8, "a").bits(3));
  EXPECT_NE(Random(7, "a").bits(3), Random(7, "b").bits(3));
  EXPECT_NE(Random(7, "a").bits(3), Random(7, "a").bits(4));
  EXPECT_NE(Random(7, "a").bits(3), Random(7, "a").substream(0).bits(3));
}

TEST(Random, HasTheMomentsOfItsDistributions) {
  const Random random(1, "moments");
  constexpr int kCount = 100000;
  double uniform_sum = 0;
  double normal_sum = 0;
  double normal_squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = random.uniform(i);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    uniform_sum += u;
    const double n = random.normal(i);
    normal_sum += n;
    normal_squares += n * n;
  }
  EXPECT_NEAR(uniform_sum / kCount, 0.5, 0.005);
  EXPECT_NEAR(normal_sum / kCount, 0, 0.02);
  EXPECT_NEAR(normal_squares / kCount, 1, 0.02);
}

TEST(Permutation, VisitsEveryIndexOnce) {
  for (const std::uint64_t size : {1, 2, 3, 5, 16, 17, 1000, 60000}) {
    const Permutation permutation(size, Random(size, "order"));
    std::set<std::uint64_t> images;
    for (std::uint64_t i = 0; i < size; ++i) {
      ASSERT_LT(permutation[i], size);
      images.insert(permutation[i]);
    }
    EXPECT_EQ(images.size(), size);
  }
}

// Each place should be equally likely for each element: the chi-squared statistic over 8 × 8 cells.
TEST(Permutation, IsUniformOverSeeds) {
  constexpr int kSize = 8;
  constexpr int kRounds = 4000;
  std::vector<int> cells(kSize * kSize);
  for (int seed = 0; seed < kRounds; ++seed) {
    const Permutation permutation(kSize, Random(static_cast<std::uint64_t>(seed), "order"));
    for (int i = 0; i < kSize; ++i) {
      ++cells[static_cast<std::size_t>(i * kSize) + permutation[static_cast<std::uint64_t>(i)]];
    }
  }
  double statistic = 0;
  const double expected = static_cast<double>(kRounds) / kSize;
  for (const int cell : cells) {
    statistic += (cell - expected) * (cell - expected) / expected;
  }
  EXPECT_LT(statistic, 90);  // 49 degrees of freedom: 99.97 % lie below 85
}

}  // namespace
}  // namespace regatta

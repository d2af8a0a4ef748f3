// The vectorised functions against libm's in double precision.
#include "base/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace regatta {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Calls check(x) over [-limit, limit] and, densely, around zero.
template <class Check>
void for_numbers(float limit, const Check& check) {
  constexpr int kSteps = 100'000;
  for (int i = -kSteps; i <= kSteps; ++i) {
    const float share = static_cast<float>(i) / kSteps;
    check(share * limit);
    check(share * share * share * limit * 1e-3F);
  }
}

TEST(VectorMath, ExpIsWithinTwoUnitsOfTheLastPlace) {
  for_numbers(87.0F, [](float x) {
    const double exact = std::exp(static_cast<double>(x));
    ASSERT_NEAR(vector_exp(x), exact, 2 * exact * 6e-8) << x;
  });
  EXPECT_EQ(vector_exp(0), 1);
  EXPECT_EQ(vector_exp(-100), 0);
  EXPECT_EQ(vector_exp(-kInfinity), 0);
  EXPECT_GT(vector_exp(kInfinity), 1e38F);
}

TEST(VectorMath, TanhKeepsItsDigitsNearZero) {
  for_numbers(20.0F, [](float x) {
    const double exact = std::tanh(static_cast<double>(x));
    ASSERT_NEAR(vector_tanh(x), exact, 3e-7 * std::abs(exact)) << x;
  });
  EXPECT_EQ(vector_tanh(kInfinity), 1);
  EXPECT_EQ(vector_tanh(-kInfinity), -1);
}

TEST(VectorMath, SigmoidGoesFromZeroToOne) {
  for_numbers(30.0F, [](float x) {
    const double exact = 1 / (1 + std::exp(-static_cast<double>(x)));
    ASSERT_NEAR(vector_sigmoid(x), exact, 3e-7 * exact) << x;
  });
  EXPECT_EQ(vector_sigmoid(kInfinity), 1);
  EXPECT_LT(vector_sigmoid(-kInfinity), 1e-38F);
}

TEST(VectorMath, NormalDistributionAndDensity) {
  for_numbers(10.0F, [](float x) {
    const auto wide = static_cast<double>(x);
    const NormalPair normal = vector_normal(x);
    ASSERT_NEAR(normal.distribution, std::erfc(-wide / std::sqrt(2.0)) / 2, 4e-7) << x;
    ASSERT_NEAR(normal.density, std::exp(-wide * wide / 2) / std::sqrt(2 * std::acos(-1.0)), 1e-7) << x;
  });
}

TEST(VectorMath, NanStaysNan) {
  EXPECT_TRUE(std::isnan(vector_exp(NAN)));
  EXPECT_TRUE(std::isnan(vector_tanh(NAN)));
  EXPECT_TRUE(std::isnan(vector_sigmoid(NAN)));
  EXPECT_TRUE(std::isnan(vector_normal(NAN).density));
  EXPECT_TRUE(std::isnan(vector_normal(NAN).distribution));
}

}  // namespace
}  // namespace regatta

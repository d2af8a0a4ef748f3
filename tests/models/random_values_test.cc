// Initial weights and dropout masks: functions of seeds and places, with the moments they should have.
#include <gtest/gtest.h>

#include <cmath>

#include "models/dropout.h"
#include "models/initializers.h"
#include "support.h"

namespace regatta {
namespace {

std::vector<float> initial(const ParameterSpec& parameter, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(parameter.size));
  initialize(parameter, seed, values);
  return values;
}

TEST(InitialWeights, AreAFunctionOfSeedAndName) {
  const ParameterSpec weight{.name = "dense1.weight",
                             .shape = {40, 30},
                             .initializer = Initializer::he_uniform,
                             .fan_in = 30,
                             .fan_out = 40,
                             .size = 1200};
  ParameterSpec other = weight;
  other.name = "dense2.weight";
  EXPECT_EQ(initial(weight, 1), initial(weight, 1));
  EXPECT_NE(initial(weight, 1), initial(weight, 2));
  EXPECT_NE(initial(weight, 1), initial(other, 1));
}

TEST(InitialWeights, AreUniformWithTheVarianceOfTheirPapers) {
  ParameterSpec weight{.name = "w",
                       .shape = {100, 300},
                       .initializer = Initializer::he_uniform,
                       .fan_in = 300,
                       .fan_out = 100,
                       .size = 30000};
  const auto moments = [&] {
    double mean = 0;
    double variance = 0;
    for (const float value : initial(weight, 7)) {
      mean += value / 30000.0;
      variance += value * value / 30000.0;
    }
    return std::pair(mean, variance);
  };
  EXPECT_NEAR(moments().first, 0, 2e-3);
  EXPECT_NEAR(moments().second, 2.0 / 300, 2e-4);
  weight.initializer = Initializer::glorot_uniform;
  EXPECT_NEAR(moments().second, 2.0 / 400, 2e-4);
  weight.initializer = Initializer::uniform_fan_in;
  EXPECT_NEAR(moments().second, 1.0 / 900, 2e-5);
  weight.initializer = Initializer::small_normal;
  EXPECT_NEAR(moments().second, 0.02 * 0.02, 2e-5);
}

TEST(DropoutMask, IsThePhiloxSequenceOfItsDefinition) {
  const std::uint64_t key = dropout_key(3, 1, 12);
  constexpr double kRate = 0.3;
  for (const std::size_t elements : {1, 4, 63, 64, 65, 130}) {
    std::vector<std::uint8_t> mask(elements);
    const std::int64_t row = 1'000'000'007;
    fill_dropout_mask(key, kRate, row, mask);
    for (std::size_t e = 0; e < elements; ++e) {
      const std::uint64_t counter = static_cast<std::uint64_t>(row) * ((elements + 3) / 4) + e / 4;
      const PhiloxCounter words =
          philox4x32({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), 0, 0},
                     {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)});
      ASSERT_EQ(mask[e], words[e % 4] >= kRate * 0x1p32 ? 1 : 0) << e;
    }
  }
}

TEST(DropoutMask, KeepsTheShareThatItsRateLeaves) {
  std::vector<std::uint8_t> mask(100000);
  for (const double rate : {0.0, 0.1, 0.5, 0.9}) {
    fill_dropout_mask(dropout_key(1, 0, 0), rate, 0, mask);
    double kept = 0;
    for (const std::uint8_t bit : mask) {
      kept += bit / 100000.0;
    }
    EXPECT_NEAR(kept, 1 - rate, 0.006);
  }
}

TEST(DropoutMask, DiffersBetweenSeedsLayersStepsAndRows) {
  const auto mask_of = [](std::uint64_t seed, int layer, std::int64_t step, std::int64_t row) {
    std::vector<std::uint8_t> mask(64);
    fill_dropout_mask(dropout_key(seed, layer, step), 0.5, row, mask);
    return mask;
  };
  EXPECT_EQ(mask_of(1, 2, 3, 4), mask_of(1, 2, 3, 4));
  EXPECT_NE(mask_of(1, 2, 3, 4), mask_of(0, 2, 3, 4));
  EXPECT_NE(mask_of(1, 2, 3, 4), mask_of(1, 0, 3, 4));
  EXPECT_NE(mask_of(1, 2, 3, 4), mask_of(1, 2, 0, 4));
  EXPECT_NE(mask_of(1, 2, 3, 4), mask_of(1, 2, 3, 0));
}

}  // namespace
}  // namespace regatta

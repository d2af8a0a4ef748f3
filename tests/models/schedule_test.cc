// Learning rates over a training.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "models/model.h"

namespace regatta {
namespace {

using Kind = ScheduleConfig::Kind;

TEST(Schedule, ConstantStaysAtOne) {
  EXPECT_EQ(schedule_factor({}, 0), 1);
  EXPECT_EQ(schedule_factor({}, 1000), 1);
}

TEST(Schedule, CosineFallsFromOneToTheFinalFactorAtTheHorizon) {
  const ScheduleConfig schedule{.kind = Kind::cosine, .final_factor = 0.1, .total_epochs = 10};
  EXPECT_DOUBLE_EQ(schedule_factor(schedule, 0), 1);
  EXPECT_DOUBLE_EQ(schedule_factor(schedule, 5), 0.55);
  EXPECT_DOUBLE_EQ(schedule_factor(schedule, 2.5), 0.1 + 0.9 * (1 + std::sqrt(0.5)) / 2);
  EXPECT_DOUBLE_EQ(schedule_factor(schedule, 10), 0.1);
  EXPECT_DOUBLE_EQ(schedule_factor(schedule, 12), 0.1);
}

TEST(Schedule, CosineWithoutAHorizonStaysAtOne) {
  const ScheduleConfig schedule{.kind = Kind::cosine,
                                .total_epochs = std::numeric_limits<int>::max()};  // kUnlimitedEpochs
  EXPECT_NEAR(schedule_factor(schedule, 100), 1, 1e-9);
}

TEST(Schedule, StepFallsByItsFactorEverySoManyEpochs) {
  const ScheduleConfig schedule{.kind = Kind::step, .step_epochs = 3, .step_factor = 0.5};
  EXPECT_EQ(schedule_factor(schedule, 2.99), 1);
  EXPECT_EQ(schedule_factor(schedule, 3), 0.5);
  EXPECT_EQ(schedule_factor(schedule, 9.5), 0.125);
}

TEST(Schedule, WarmupRisesLinearlyBeforeTheRest) {
  const ScheduleConfig constant{.warmup_epochs = 2};
  EXPECT_EQ(schedule_factor(constant, 0), 0);
  EXPECT_EQ(schedule_factor(constant, 0.5), 0.25);
  EXPECT_EQ(schedule_factor(constant, 2), 1);
  const ScheduleConfig cosine{.kind = Kind::cosine, .warmup_epochs = 2, .total_epochs = 12};
  EXPECT_DOUBLE_EQ(schedule_factor(cosine, 2), 1);
  EXPECT_DOUBLE_EQ(schedule_factor(cosine, 7), 0.5);
  const ScheduleConfig step{.kind = Kind::step, .warmup_epochs = 1, .step_epochs = 2, .step_factor = 0.1};
  EXPECT_EQ(schedule_factor(step, 2.5), 1);
  EXPECT_EQ(schedule_factor(step, 3), 0.1);
}

TEST(Schedule, WarmupLongerThanTheHorizonEndsAtTheFinalFactor) {
  const ScheduleConfig schedule{.kind = Kind::cosine, .warmup_epochs = 5, .total_epochs = 3};
  EXPECT_EQ(schedule_factor(schedule, 2.5), 0.5);
  EXPECT_EQ(schedule_factor(schedule, 6), 0);
}

}  // namespace
}  // namespace regatta

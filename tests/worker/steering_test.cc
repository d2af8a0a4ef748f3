// One rank: how often a decision is asked for, and what it does.
#include "worker/steering.h"

#include <gtest/gtest.h>

#include "scripted_control.h"

namespace regatta {
namespace {

using std::chrono::microseconds;

// Each question takes `question`, by the virtual clock.
int questions_in_steps(int steps, microseconds step, microseconds question) {
  VirtualClock clock;
  const auto communicator = make_single_communicator();
  ScriptedControl control({.until_epoch = 1});
  int questions = 0;
  control.on_decide = [&](int asked) {
    questions = asked;
    clock.advance_to(clock.monotonic() + question);
  };
  Steering steering(*communicator, &control, clock, 1);
  for (int i = 0; i < steps; ++i) {
    EXPECT_TRUE(steering.at_step(0, true).ok());
    clock.advance_to(clock.monotonic() + step);
  }
  return questions;
}

TEST(Steering, CostsLessThanAHundredthOfTheSteps) {
  const int steps = 100'000;
  const int questions = questions_in_steps(steps, microseconds(50), microseconds(40));
  EXPECT_LT(questions * 40, steps * 50 / 100 * 11 / 10);
  EXPECT_GT(questions, steps / 100);
}

TEST(Steering, LongStepsAreAskedAboutEachTime) {
  EXPECT_EQ(questions_in_steps(100, microseconds(200'000), microseconds(40)), 100);
}

TEST(Steering, AsksAtLeastEveryHalfSecond) {
  // A question as dear as this would be asked only every 100 steps.
  EXPECT_GE(questions_in_steps(100, microseconds(50'000), microseconds(50'000)), 9);
}

TEST(Steering, UnhealthyRanksAreSeen) {
  const SystemClock clock;
  const auto communicator = make_single_communicator();
  ScriptedControl control({.until_epoch = 1});
  Steering steering(*communicator, &control, clock, 1);
  EXPECT_TRUE(steering.at_step(0, true)->healthy);
  EXPECT_FALSE(steering.at_step(0, false)->healthy);
}

TEST(Steering, WaitEndsWithAGrant) {
  const SystemClock clock;
  const auto communicator = make_single_communicator();
  ScriptedControl control({.until_epoch = 1});
  control.on_decide = [&](int asked) {
    if (asked == 3) {
      control.grant(4);
    }
  };
  Steering steering(*communicator, &control, clock, 1);
  const auto decision = steering.wait_beyond(1);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->until_epoch, 4);
}

}  // namespace
}  // namespace regatta

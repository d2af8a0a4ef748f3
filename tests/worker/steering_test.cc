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
  Steering steering(*communicator, clock, 1);
  steering.seat(0, &control, 1);
  for (int i = 0; i < steps; ++i) {
    EXPECT_TRUE(steering.at_step().ok());
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
  ScriptedControl other({.until_epoch = 1});
  Steering steering(*communicator, clock, 3);
  steering.seat(0, &control, 1);
  steering.seat(2, &other, 1);
  EXPECT_TRUE(steering.at_step().value());
  EXPECT_TRUE(steering.view(2).healthy);
  steering.stand(2, 0, false);
  EXPECT_TRUE(steering.at_step().value());
  EXPECT_FALSE(steering.view(2).healthy);
  EXPECT_TRUE(steering.view(0).healthy) << "each lane has its own health";
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
  Steering steering(*communicator, clock, 2);
  steering.seat(1, &control, 1);
  steering.stand(1, 1, true);
  int waits = 0;
  while (steering.view(1).decision.until_epoch == 1 && waits < 10) {
    ASSERT_TRUE(steering.wait().ok());
    ++waits;
  }
  EXPECT_EQ(waits, 3);
  EXPECT_EQ(steering.view(1).decision.until_epoch, 4);
}

}  // namespace
}  // namespace regatta

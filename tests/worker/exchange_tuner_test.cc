// The choice between ways of summing, with made times.
#include "worker/exchange_tuner.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

using std::chrono::milliseconds;

// Runs steps of these times until all candidates are measured; how many steps that took.
int measure(ExchangeTuner& tuner, const std::vector<Microseconds>& times_of_plans) {
  Microseconds now{0};
  for (int step = 1; step < 100; ++step) {
    const auto plan = static_cast<std::size_t>(tuner.plan().bucket_bytes);
    now += times_of_plans.at(plan);
    if (tuner.step_ended(now)) {
      return step;
    }
  }
  return 100;
}

TEST(ExchangeTuner, ChoosesTheFastestAndKeepsIt) {
  ExchangeTuner tuner({{.bucket_bytes = 0}, {.bucket_bytes = 1}, {.bucket_bytes = 2}});
  const int steps = measure(tuner, {milliseconds(5), milliseconds(3), milliseconds(4)});
  EXPECT_LT(steps, 30);
  EXPECT_NEAR(tuner.times()[0], 5e-3, 1e-9);
  EXPECT_NEAR(tuner.times()[2], 4e-3, 1e-9);
  tuner.choose();
  EXPECT_EQ(tuner.plan().bucket_bytes, 1U);
  EXPECT_FALSE(tuner.step_ended(std::chrono::hours(1)));
  EXPECT_EQ(tuner.plan().bucket_bytes, 1U);
}

TEST(ExchangeTuner, DecidesByWhatTheRanksHaveMeasuredTogether) {
  ExchangeTuner tuner({{.bucket_bytes = 0}, {.bucket_bytes = 1}});
  measure(tuner, {milliseconds(1), milliseconds(2)});
  tuner.times()[0] += 9e-3;  // another rank
  tuner.times()[1] += 1e-3;
  tuner.choose();
  EXPECT_EQ(tuner.plan().bucket_bytes, 1U);
}

TEST(ExchangeTuner, HasNothingToChooseForSmallGradients) {
  ASSERT_EQ(exchange_candidates(40'000, true).size(), 1U);
  ExchangeTuner tuner(exchange_candidates(40'000, true));
  for (int step = 0; step < 50; ++step) {
    EXPECT_FALSE(tuner.step_ended(milliseconds(step)));
  }
}

TEST(ExchangeTuner, TriesOverlapOnlyWhereThereIsACoreForIt) {
  for (const ExchangePlan& plan : exchange_candidates(100 << 20, false)) {
    EXPECT_FALSE(plan.overlap);
  }
  int overlapping = 0;
  for (const ExchangePlan& plan : exchange_candidates(100 << 20, true)) {
    overlapping += plan.overlap ? 1 : 0;
  }
  EXPECT_GE(overlapping, 2);
}

}  // namespace
}  // namespace regatta

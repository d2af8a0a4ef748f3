// Early stopping, and that a checkpoint keeps it.
#include "worker/patience.h"

#include <gtest/gtest.h>

#include <cmath>

namespace regatta {
namespace {

TEST(Patience, CountsEpochsWithoutImprovement) {
  Patience patience(EarlyStopping{.metric = "val_loss", .patience = 2, .min_delta = 0.1});
  patience.observe(1.0);
  patience.observe(0.95);  // better, but by less than min_delta
  EXPECT_FALSE(patience.exhausted());
  patience.observe(0.8);
  patience.observe(std::nan(""));
  EXPECT_FALSE(patience.exhausted());
  patience.observe(0.8);
  EXPECT_TRUE(patience.exhausted());
}

TEST(Patience, MaximizesWhenAsked) {
  Patience patience(EarlyStopping{.metric = "val_accuracy", .maximize = true, .patience = 1});
  patience.observe(0.5);
  patience.observe(0.6);
  EXPECT_FALSE(patience.exhausted());
  patience.observe(0.6);
  EXPECT_TRUE(patience.exhausted());
}

TEST(Patience, GoesOnFromItsState) {
  const EarlyStopping rule{.metric = "val_loss", .patience = 2};
  Patience first(rule);
  first.observe(1.0);
  first.observe(2.0);
  Patience second(rule);
  ASSERT_TRUE(second.restore(first.state()));
  EXPECT_FALSE(second.exhausted());
  second.observe(1.5);
  EXPECT_TRUE(second.exhausted());
  EXPECT_FALSE(second.restore({1, 2, -3}));
  EXPECT_FALSE(second.restore({1, 2, 3, 4}));
}

TEST(Patience, EpochsWithoutAnyNumberAreRememberedToo) {
  const EarlyStopping rule{.metric = "val_loss", .patience = 2};
  Patience first(rule);
  first.observe(std::nan(""));
  Patience second(rule);
  ASSERT_TRUE(second.restore(first.state()));
  second.observe(std::nan(""));
  EXPECT_TRUE(second.exhausted());
}

TEST(Patience, WithoutARuleNothingEnds) {
  Patience patience(std::nullopt);
  EXPECT_FALSE(patience.active());
  EXPECT_FALSE(patience.exhausted());
  EXPECT_TRUE(patience.restore({}));
  EXPECT_FALSE(patience.restore({1, 2, 3}));
}

}  // namespace
}  // namespace regatta

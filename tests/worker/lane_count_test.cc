// How many lanes fit into a card's memory.
#include "worker/lane_count.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(LanesForMemory, LeavesATenthFreeAndCountsTheFirstLaneWithWhatAllShare) {
  EXPECT_EQ(lanes_for_memory(1000, 300, 400), 7);  // 900 - 300 for further lanes of 100
  EXPECT_EQ(lanes_for_memory(400, 300, 400), 1);
}

TEST(LanesForMemory, IsOneWhereTwoLanesDoNotFit) { EXPECT_EQ(lanes_for_memory(1000, 800, 0), 1); }

TEST(LanesForMemory, IsNeverMoreThanACardGainsFrom) {
  EXPECT_EQ(lanes_for_memory(1'000'000'000, 1000, 1001), kMostLanesThatFit);
  EXPECT_EQ(lanes_for_memory(1'000'000'000, 1000, 1000), kMostLanesThatFit);
}

}  // namespace
}  // namespace regatta

// Lists of CPUs as Linux writes them, and running on some of them.
#include "base/cpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Cpus, AreWrittenAndReadAsRanges) {
  for (const char* text : {"0", "0-3", "0-3,8", "1,3,5-6"}) {
    EXPECT_EQ(format_cpus(*parse_cpus(text)), text);
  }
  EXPECT_EQ(format_cpus({}), "");
  EXPECT_THAT(*parse_cpus("4,0-1,1"), ElementsAre(0, 1, 4)) << "ascending, each once";
}

TEST(Cpus, WhatIsNoListIsRefused) {
  for (const char* text : {"", "a", "-1", "3-1", "1,", "1 2", "0-", "99999999", "0-99999999999"}) {
    EXPECT_FALSE(parse_cpus(text).ok()) << text;
  }
}

TEST(Cpus, SetsAreUnitedAndIntersected) {
  EXPECT_THAT(united({0, 2}, {1, 2}), ElementsAre(0, 1, 2));
  EXPECT_THAT(intersected({0, 2}, {1, 2}), ElementsAre(2));
  EXPECT_THAT(intersected({0}, {1}), IsEmpty());
}

TEST(Cpus, AThreadRunsWhereItIsTold) {
  const CpuSet before = allowed_cpus();
  ASSERT_FALSE(before.empty());
  std::jthread([&] {
    EXPECT_TRUE(run_on({before.back()}).ok());
    EXPECT_THAT(allowed_cpus(), ElementsAre(before.back()));
    std::jthread(
        [&] { EXPECT_THAT(allowed_cpus(), ElementsAre(before.back())) << "a new thread inherits it"; });
  });
  EXPECT_EQ(allowed_cpus(), before) << "of the other thread only";
}

TEST(Cpus, ThoseThatAreNotThereCannotBeRunOn) {
  EXPECT_FALSE(run_on({}).ok());
  EXPECT_FALSE(run_on({1'000'000}).ok());
}

}  // namespace
}  // namespace regatta

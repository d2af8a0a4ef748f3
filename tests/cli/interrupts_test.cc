// Signals that are counted, and those that are left alone.
#include "cli/interrupts.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

TEST(InterruptsTest, AreCounted) {
  const Interrupts interrupts;
  EXPECT_EQ(interrupts.count(), 0);
  std::raise(SIGINT);
  std::raise(SIGTERM);
  EXPECT_EQ(interrupts.count(), 2);
}

TEST(InterruptsTest, HangingUpIsNeverTheSecond) {
  const Interrupts interrupts;
  std::raise(SIGHUP);
  std::raise(SIGHUP);
  EXPECT_EQ(interrupts.count(), 1);
  std::raise(SIGINT);
  std::raise(SIGHUP);
  EXPECT_EQ(interrupts.count(), 2);
}

TEST(InterruptsTest, TimeThatIsUpIsNoInterruptAndIsHeededWhereABatchScriptIgnoredIt) {
  const auto before = std::signal(SIGUSR1, SIG_IGN);
  {
    const Interrupts interrupts;
    EXPECT_FALSE(interrupts.time_is_up());
    std::raise(SIGUSR1);
    EXPECT_TRUE(interrupts.time_is_up());
    EXPECT_EQ(interrupts.count(), 0);
  }
  EXPECT_EQ(std::signal(SIGUSR1, before), SIG_IGN);
}

TEST(InterruptsTest, LeaveAnIgnoredSignalIgnored) {
  const auto before = std::signal(SIGHUP, SIG_IGN);
  {
    const Interrupts interrupts;
    std::raise(SIGHUP);
    EXPECT_EQ(interrupts.count(), 0);
  }
  EXPECT_EQ(std::signal(SIGHUP, before), SIG_IGN);
}

}  // namespace
}  // namespace regatta

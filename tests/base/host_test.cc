// Processes are told apart by number and start time.
#include "base/host.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "base/clock.h"

namespace regatta {
namespace {

TEST(Host, ThisMachineHasACore) { EXPECT_GE(usable_cores(), 1); }

TEST(Host, SlurmsCountLimitsTheCoresInUse) {
  ::setenv("SLURM_CPUS_ON_NODE", "1", 1);
  EXPECT_EQ(cpu_limit(), 1);
  EXPECT_EQ(usable_cores(), 1);
  ::setenv("SLURM_CPUS_ON_NODE", "1000000", 1);
  const int cores = usable_cores();
  ::unsetenv("SLURM_CPUS_ON_NODE");
  EXPECT_EQ(usable_cores(), cores) << "more than there are is no limit";
}

TEST(Host, AProcessIsItsNumberAndItsStart) {
  const auto start = process_start(::getpid());
  ASSERT_TRUE(start);
  EXPECT_TRUE(may_run(::getpid(), start));
  EXPECT_TRUE(may_run(::getpid(), std::nullopt));
  EXPECT_FALSE(may_run(::getpid(), *start + 1)) << "another process with a recycled number";
  EXPECT_EQ(process_session(::getpid()), ::getsid(0));
}

TEST(Host, AZombieAndAProcessThatIsGoneDoNotRun) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(0);
  }
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(process_exists(child));
  EXPECT_FALSE(may_run(child, std::nullopt));
  EXPECT_FALSE(process_start(child));
  ::waitpid(child, nullptr, 0);
  EXPECT_FALSE(process_exists(child));
  EXPECT_FALSE(may_run(child, std::nullopt));
}

TEST(SystemClock, WallTimeGoesOnAsTheMonotonicClockDoes) {
  const SystemClock clock;
  const Microseconds before = clock.monotonic();
  const Microseconds wall = clock.wall();
  const Microseconds after = clock.monotonic();
  ::usleep(1000);
  const Microseconds later_before = clock.monotonic();
  const Microseconds later_wall = clock.wall();
  EXPECT_GE(later_wall - wall, later_before - after);
  EXPECT_LE(later_wall - wall, clock.monotonic() - before);
}

}  // namespace
}  // namespace regatta

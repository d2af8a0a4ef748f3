// Crews that come one after the other to a host, and what each finds free.
#include "devices/core_claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>

#include "base/file.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class CoreClaims : public testing::Test {
 protected:
  // What a process on a machine of four cores gets.
  CpuSet claim(long process, std::optional<int> threads) {
    const auto cores = describe_cores("core:4 pu:1");
    const auto chosen = claim_cpus([&](const CpuSet& taken) { return free_share(*cores, taken, 1, threads); },
                                   {.file = file(), .process = process});
    EXPECT_TRUE(chosen.ok());
    return chosen.ok() ? *chosen : CpuSet();
  }
  std::filesystem::path file() const { return folder_.path() / "claims"; }
  const TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(CoreClaims, WhoComesLaterGetsWhatIsLeft) {
  EXPECT_THAT(claim(::getpid(), 2), ElementsAre(0, 1));
  EXPECT_THAT(claim(::getppid(), 1), ElementsAre(2));
  EXPECT_THAT(claim(1, {}), ElementsAre(3)) << "all that there is";
}

TEST_F(CoreClaims, NothingIsLeftWhereOneHasAll) {
  EXPECT_THAT(claim(::getpid(), {}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(claim(::getppid(), 1), IsEmpty());
}

TEST_F(CoreClaims, ANewClaimTakesTheOldOnesPlace) {
  claim(::getpid(), 3);
  EXPECT_THAT(claim(::getpid(), 1), ElementsAre(0));
  EXPECT_THAT(claim(::getppid(), 3), ElementsAre(1, 2, 3));
}

TEST_F(CoreClaims, WhatADeadProcessHadIsFreeAgain) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  EXPECT_THAT(claim(child, {}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(claim(::getpid(), 1), IsEmpty());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_THAT(claim(::getpid(), 1), ElementsAre(0));
}

TEST_F(CoreClaims, ADamagedLineAndAnotherProcessOfTheSameNumberTakeNothing) {
  std::ofstream(file()) << "nonsense\n" << ::getppid() << " 1 0-3\n" << ::getppid() << " 7";
  EXPECT_THAT(claim(::getpid(), {}), ElementsAre(0, 1, 2, 3));
}

TEST_F(CoreClaims, ALinkThatSomebodyElseHasLaidIsNotFollowed) {
  std::filesystem::create_symlink(folder_.path() / "elsewhere", file());
  EXPECT_FALSE(claim_cpus([](const CpuSet&) { return CpuSet{0}; }, {.file = file()}).ok());
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "elsewhere"));
}

TEST(FreeShare, LeavesRoomForOthersOfItsKind) {
  const auto cores = *describe_cores("package:2 core:4 pu:2");
  EXPECT_EQ(format_cpus(free_share(cores, {}, 2, 2)), "0-7") << "a package of two";
  EXPECT_EQ(format_cpus(free_share(cores, {0, 1, 2, 3, 4, 5, 6, 7}, 2, 2)), "8-15");
  EXPECT_EQ(format_cpus(free_share(cores, {3}, 1, {})), "0-1,4-15") << "half a core is nobody's";
}

TEST(FreeShare, TakesHardwareThreadsWhereCoresAreTooFewAndNothingWhereTheseAreToo) {
  const auto cores = *describe_cores("core:2 pu:2");
  EXPECT_EQ(format_cpus(free_share(cores, {}, 1, 4)), "0-3");
  EXPECT_THAT(free_share(cores, {}, 5, 1), IsEmpty());
  EXPECT_THAT(free_share(cores, {0, 2}, 1, {}), IsEmpty());
}

}  // namespace
}  // namespace regatta

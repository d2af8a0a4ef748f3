// Processes that come one after the other to a host, and what each finds free.
#include "devices/core_claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <fstream>

#include "base/file.h"
#include "base/host.h"

namespace regatta {
namespace {

using testing::IsEmpty;

// What a process on a machine of four cores gets.
Result<CpuClaim> claim_of_four(std::optional<int> threads, const CpuClaimOptions& options) {
  const auto cores = describe_cores("core:4 pu:1");
  return claim_cpus([&](const CpuSet& taken) { return free_share(*cores, taken, 1, threads); }, options);
}

// A process with a claim, until the object goes.
class Claimant {
 public:
  Claimant(std::optional<int> threads, const CpuClaimOptions& options) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    answer_ = ends[0];
    process_ = ::fork();
    if (process_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      const auto claim = claim_of_four(threads, options);
      const std::string text = (claim.ok() ? format_cpus(claim->cpus()) : claim.error().message) + "\n";
      (void)!::write(ends[1], text.data(), text.size());
      ::pause();
      ::_exit(0);
    }
    ::close(ends[1]);
  }
  Claimant(const Claimant&) = delete;
  Claimant& operator=(const Claimant&) = delete;
  ~Claimant() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    ::close(answer_);
  }
  // Once; waits until it has chosen.
  std::string cpus() const {
    std::string text;
    for (char letter = 0; ::read(answer_, &letter, 1) == 1 && letter != '\n';) {
      text += letter;
    }
    return text;
  }

 private:
  pid_t process_ = -1;
  int answer_ = -1;
};

class CoreClaims : public testing::Test {
 protected:
  CpuClaimOptions options(const std::string& study = "") const {
    return {.folder = claims(), .study = study};
  }
  std::filesystem::path claims() const { return folder_.path() / "claims"; }
  const TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(CoreClaims, WhoComesLaterGetsWhatIsLeft) {
  const Claimant first(2, options());
  EXPECT_EQ(first.cpus(), "0-1");
  const Claimant second(1, options());
  EXPECT_EQ(second.cpus(), "2");
  const Claimant third({}, options());
  EXPECT_EQ(third.cpus(), "3") << "all that there is";
  EXPECT_EQ(Claimant(1, options()).cpus(), "");
}

TEST_F(CoreClaims, WhatADeadProcessHadIsFreeAgainAndItsFileGoes) {
  {
    const Claimant first({}, options());
    EXPECT_EQ(first.cpus(), "0-3");
    EXPECT_EQ(Claimant(1, options()).cpus(), "");
  }
  EXPECT_EQ(Claimant({}, options()).cpus(), "0-3");
  EXPECT_THAT(claim_of_four(100, options())->cpus(), IsEmpty());
  const std::filesystem::directory_iterator files(claims());
  EXPECT_EQ(std::distance(begin(files), end(files)), 1) << "but for whose turn it is";
}

TEST_F(CoreClaims, AClaimEndsWithItsObject) {
  EXPECT_EQ(format_cpus(claim_of_four({}, options())->cpus()), "0-3");
  EXPECT_EQ(format_cpus(claim_of_four({}, options())->cpus()), "0-3");
}

// There the numbers of other processes mean others, or nobody.
TEST_F(CoreClaims, AContainerWithProcessesOfItsOwnSeesTheHostsClaims) {
  const Claimant host(2, options());
  ASSERT_EQ(host.cpus(), "0-1");
  const pid_t runtime = ::fork();
  if (runtime == 0) {
    if (::unshare(CLONE_NEWPID) != 0) {
      ::_exit(77);
    }
    const bool sees = Claimant({}, options()).cpus() == "2-3";
    ::_exit(sees ? 0 : 1);
  }
  int status = 0;
  ::waitpid(runtime, &status, 0);
  if (WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "no namespaces of processes may be made here";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(Claimant({}, options()).cpus(), "2-3") << "and has not done away with them";
}

TEST_F(CoreClaims, AStudysOwnClaimsDoNotStandInItsWay) {
  const Claimant coordinator(2, options("/runs/a"));
  ASSERT_EQ(coordinator.cpus(), "0-1");
  EXPECT_EQ(Claimant({}, options("/runs/a")).cpus(), "0-3");
  EXPECT_EQ(Claimant({}, options("/runs/b")).cpus(), "2-3");
  EXPECT_EQ(Claimant({}, options()).cpus(), "2-3");
}

TEST_F(CoreClaims, WhoComesAtTheSameTimeDoesNotTakeTheSame) {
  const Claimant first(1, options());
  const Claimant second(1, options());
  const Claimant third(1, options());
  const Claimant fourth(1, options());
  EXPECT_THAT((std::vector{first.cpus(), second.cpus(), third.cpus(), fourth.cpus()}),
              testing::UnorderedElementsAre("0", "1", "2", "3"));
}

TEST_F(CoreClaims, ClaimsOfAnotherHostThatSharesTheFolderAreLeftAlone) {
  ASSERT_EQ(Claimant({}, options()).cpus(), "0-3");  // makes the folder
  std::ofstream(claims() / "another-host.0") << "0-3\n";
  EXPECT_EQ(Claimant({}, options()).cpus(), "0-3");
  EXPECT_TRUE(std::filesystem::exists(claims() / "another-host.0"));
}

TEST_F(CoreClaims, AFolderThatOthersMayWriteToIsNotBelieved) {
  std::filesystem::create_directory(claims());
  std::filesystem::permissions(claims(), std::filesystem::perms::all);
  EXPECT_FALSE(claim_of_four(1, options()).ok());
}

TEST_F(CoreClaims, ALinkThatSomebodyElseHasLaidIsNotFollowed) {
  std::filesystem::create_directory(folder_.path() / "elsewhere");
  std::filesystem::permissions(folder_.path() / "elsewhere", std::filesystem::perms::owner_all);
  std::filesystem::create_directory_symlink(folder_.path() / "elsewhere", claims());
  EXPECT_FALSE(claim_of_four(1, options()).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "elsewhere"));
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

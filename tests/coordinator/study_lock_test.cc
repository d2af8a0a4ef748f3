// The lock that keeps a second coordinator out.
#include "coordinator/study_lock.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/file.h"
#include "base/host.h"

namespace regatta {
namespace {

using testing::HasSubstr;

class StudyLockTest : public testing::Test {
 protected:
  std::filesystem::path lock_file() const { return folder_.path() / "study.lock"; }
  static pid_t dead_process() {
    const pid_t child = fork();
    if (child == 0) {
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    return child;
  }
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
};

TEST_F(StudyLockTest, IsHeldOnceAndNamesItsOwnerAndTheRemedy) {
  const auto first = StudyLock::take(folder_.path());
  ASSERT_TRUE(first.ok());
  const auto second = StudyLock::take(folder_.path());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(second.error().message, HasSubstr(fmt::format("process {}", getpid())));
  EXPECT_THAT(second.error().message, HasSubstr(host_name()));
  EXPECT_THAT(second.error().message, HasSubstr("remove " + lock_file().string()));
}

TEST_F(StudyLockTest, IsFreeAgainWhenItsOwnerGoes) {
  { const auto lock = StudyLock::take(folder_.path()); }
  EXPECT_FALSE(std::filesystem::exists(lock_file()));
  EXPECT_TRUE(StudyLock::take(folder_.path()).ok());
}

TEST_F(StudyLockTest, OfADeadProcessOnThisHostIsTakenOver) {
  ASSERT_TRUE(
      write_file_atomically(lock_file(), fmt::format("{} {} 12345\n", host_name(), dead_process())).ok());
  const auto lock = StudyLock::take(folder_.path());
  ASSERT_TRUE(lock.ok()) << lock.error().message;
  EXPECT_THAT(*read_file(lock_file()), HasSubstr(fmt::format("{} {} ", host_name(), getpid())));
}

TEST_F(StudyLockTest, OfAProcessWhoseNumberAnotherOneHasNowIsTakenOver) {
  ASSERT_TRUE(write_file_atomically(lock_file(), fmt::format("{} {} 1\n", host_name(), getpid())).ok());
  EXPECT_TRUE(StudyLock::take(folder_.path()).ok());
}

TEST_F(StudyLockTest, OfAnotherHostIsRespectedWhateverRunsHere) {
  ASSERT_TRUE(write_file_atomically(lock_file(), fmt::format("node17 {} 12345\n", dead_process())).ok());
  const auto lock = StudyLock::take(folder_.path());
  ASSERT_FALSE(lock.ok());
  EXPECT_THAT(lock.error().message, HasSubstr("node17"));
}

TEST_F(StudyLockTest, WhileBeingWrittenIsRespected) {
  ASSERT_TRUE(write_file_atomically(lock_file(), "").ok());
  EXPECT_FALSE(StudyLock::take(folder_.path()).ok());
}

TEST_F(StudyLockTest, OfAKilledProcessGoesToExactlyOneOfManyThatWantIt) {
  ASSERT_TRUE(
      write_file_atomically(lock_file(), fmt::format("{} {} 12345\n", host_name(), dead_process())).ok());
  std::vector<pid_t> children;
  for (int i = 0; i < 12; ++i) {
    children.push_back(fork());
    if (children.back() == 0) {
      auto lock = StudyLock::take(folder_.path());
      if (!lock.ok()) {
        _exit(1);
      }
      pause();  // holds it until it is killed
    }
  }
  int losers = 0;
  while (losers < 11) {
    int status = 0;
    ASSERT_GT(waitpid(-1, &status, 0), 0);
    losers += WIFEXITED(status) ? 1 : 0;
  }
  for (const pid_t child : children) {
    kill(child, SIGKILL);
  }
  EXPECT_GT(waitpid(-1, nullptr, 0), 0) << "one was still there, holding it";
}

}  // namespace
}  // namespace regatta

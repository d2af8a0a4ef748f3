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

using std::chrono::seconds;
using testing::HasSubstr;

class StudyLockTest : public testing::Test {
 protected:
  std::filesystem::path lock_file() const { return folder_.path() / "study.lock"; }
  void make_lock_of(const std::string& host, int renewals) const {
    ASSERT_TRUE(write_file_atomically(lock_file(),
                                      fmt::format("{} 4711 12345 a-boot/pid:[1] {:012}\n", host, renewals))
                    .ok());
  }
  // Time passes by looking; `at_look` is what happens on the other host meanwhile.
  StudyLockOptions watching(const std::function<void(int)>& at_look) {
    looks_ = 0;
    return {.tell = [this](const std::string& sentence) { told_.push_back(sentence); },
            .pause = [this, at_look](Microseconds) { at_look(++looks_); }};
  }
  static pid_t dead_process() {
    const pid_t child = fork();
    if (child == 0) {
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    return child;
  }
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  int looks_ = 0;
  std::vector<std::string> told_;
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

TEST_F(StudyLockTest, OfAnotherHostThatIsNeverRenewedIsTakenOverAfterThePatience) {
  make_lock_of("node17", 0);
  const auto lock = StudyLock::take(folder_.path(), watching([](int) {}));
  ASSERT_TRUE(lock.ok()) << lock.error().message;
  EXPECT_EQ(looks_, 30);
  ASSERT_FALSE(told_.empty());
  EXPECT_THAT(told_.front(), HasSubstr("process 4711 on host node17; waiting up to 30"));
  EXPECT_GT(told_.size(), 3U) << "whoever waits is told why all the time";
  EXPECT_EQ(find_lock_owner(folder_.path())->identity, lock->identity());
}

TEST_F(StudyLockTest, OfAnotherHostThatIsRenewedIsRefusedAtOnceByName) {
  make_lock_of("node17", 7);
  const auto lock = StudyLock::take(folder_.path(), watching([&](int look) {
                                      if (look == 3) {
                                        make_lock_of("node17", 8);
                                      }
                                    }));
  ASSERT_FALSE(lock.ok());
  EXPECT_EQ(looks_, 3);
  EXPECT_EQ(lock.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(lock.error().message, HasSubstr("process 4711 on host node17"));
  EXPECT_THAT(lock.error().message, HasSubstr("regatta stop"));
}

TEST_F(StudyLockTest, OfAnotherHostThatIsReleasedWhileItIsWatchedIsTaken) {
  make_lock_of("node17", 7);
  const auto lock = StudyLock::take(folder_.path(), watching([&](int look) {
                                      if (look == 2) {
                                        std::filesystem::remove(lock_file());
                                      }
                                    }));
  ASSERT_TRUE(lock.ok()) << lock.error().message;
  EXPECT_EQ(looks_, 2);
}

TEST_F(StudyLockTest, OfAProcessInAnotherContainerOfThisHostIsNotDecidedByItsNumber) {
  const pid_t dead = dead_process();
  ASSERT_TRUE(write_file_atomically(
                  lock_file(), fmt::format("{} {} 5 some-boot/pid:[1] 000000000001\n", host_name(), dead))
                  .ok());
  EXPECT_EQ(find_lock_owner(folder_.path())->life, LockOwner::Life::elsewhere);
}

TEST_F(StudyLockTest, WhileBeingWrittenIsRespectedAndTakenOverIfItStaysEmpty) {
  ASSERT_TRUE(write_file_atomically(lock_file(), "").ok());
  const auto refused = StudyLock::take(
      folder_.path(), watching([&](int look) { look == 1 ? make_lock_of("node17", 0) : void(); }));
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message, HasSubstr("node17"));
  ASSERT_TRUE(write_file_atomically(lock_file(), "").ok());
  EXPECT_TRUE(StudyLock::take(folder_.path(), watching([](int) {})).ok());
}

TEST_F(StudyLockTest, CountsUpInItsFileWhenThatIsDueAndNotBefore) {
  auto lock = StudyLock::take(folder_.path());
  ASSERT_TRUE(lock.ok());
  const auto text = [&] { return read_file(lock_file()).value(); };
  ASSERT_TRUE(lock->renew(seconds(100)).ok());
  const std::string first = text();
  ASSERT_TRUE(lock->renew(seconds(104)).ok());
  EXPECT_EQ(text(), first);
  ASSERT_TRUE(lock->renew(seconds(105)).ok());
  EXPECT_NE(text(), first);
  EXPECT_EQ(text().size(), first.size());
  EXPECT_EQ(find_lock_owner(folder_.path())->identity, lock->identity());
}

TEST_F(StudyLockTest, ThatWasTakenOverIsNoticedAndTheNewOwnersIsLeftAlone) {
  auto lock = StudyLock::take(folder_.path());
  ASSERT_TRUE(lock.ok());
  EXPECT_TRUE(lock->check().ok());
  std::filesystem::remove(lock_file());
  make_lock_of("node17", 3);
  const std::string theirs = *read_file(lock_file());
  const Status checked = lock->check();
  ASSERT_FALSE(checked.ok());
  EXPECT_TRUE(lock->is_lost());
  EXPECT_THAT(checked.error().message, HasSubstr("process 4711 on host node17"));
  EXPECT_FALSE(lock->renew(seconds(1000)).ok());
  lock->release();
  EXPECT_EQ(*read_file(lock_file()), theirs);
}

TEST_F(StudyLockTest, ThatIsMovedAsideForAMomentIsNotTakenForLost) {
  auto lock = StudyLock::take(folder_.path());
  ASSERT_TRUE(lock.ok());
  const std::filesystem::path aside = folder_.path() / "aside";
  std::filesystem::rename(lock_file(), aside);
  const pid_t child = fork();
  if (child == 0) {
    pause_for(std::chrono::milliseconds(60));
    _exit(rename(aside.c_str(), lock_file().c_str()));
  }
  EXPECT_TRUE(lock->check().ok());
  waitpid(child, nullptr, 0);
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

// Which operation on a device is late, and what is said of it; and the thread that acts on it.
#include "collectives/device_operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <latch>

#include "collectives/watchdog.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr DeviceLimits kLimits{.operation = seconds(60), .queue = seconds(600)};

class DeviceOperationsTest : public testing::Test {
 protected:
  std::uint64_t begin(std::size_t bytes = 4096) { return operations_.begin("allreduce", bytes).value(); }
  void pass(Microseconds time) { clock_.advance_to(clock_.monotonic() + time); }

  VirtualClock clock_;
  DeviceOperations operations_{clock_, 1, 2, kLimits};
};

TEST_F(DeviceOperationsTest, AnOperationIsLateOnceItHasRunForItsLimit) {
  const auto number = begin();
  pass(seconds(59));
  operations_.note(number, DeviceProgress::begun);
  pass(seconds(59));
  EXPECT_FALSE(operations_.judge());
  pass(seconds(1));
  const auto late = operations_.judge();
  ASSERT_TRUE(late);
  EXPECT_EQ(late->kind, Error::Kind::timeout);
  EXPECT_THAT(late->message,
              HasSubstr("rank 1 of 2: allreduce #1 of 4096 bytes did not end within 60 s on the device"));
}

TEST_F(DeviceOperationsTest, WaitingBehindOtherWorkIsNoLateness) {
  const auto first = begin();
  begin();
  pass(seconds(300));
  EXPECT_FALSE(operations_.judge());
  operations_.note(first, DeviceProgress::begun);
  operations_.note(first, DeviceProgress::ended);
  EXPECT_FALSE(operations_.judge());
}

TEST_F(DeviceOperationsTest, ADeviceThatNeverBeginsIsStuck) {
  begin();
  pass(seconds(600));
  const auto late = operations_.judge();
  ASSERT_TRUE(late);
  EXPECT_THAT(late->message, HasSubstr("allreduce #1 of 4096 bytes did not begin within 600 s"));
}

TEST_F(DeviceOperationsTest, TheOldestLateOperationIsNamed) {
  const auto first = begin(10);
  const auto second = begin(20);
  operations_.note(first, DeviceProgress::begun);
  operations_.note(second, DeviceProgress::begun);
  pass(seconds(60));
  EXPECT_THAT(operations_.judge()->message, HasSubstr("allreduce #1 of 10 bytes"));
}

TEST_F(DeviceOperationsTest, OperationsThatHaveEndedAreForgotten) {
  for (int i = 0; i < 5; ++i) {
    operations_.note(begin(), DeviceProgress::ended);
  }
  EXPECT_TRUE(operations_.pending().empty());
  pass(seconds(6000));
  EXPECT_FALSE(operations_.judge());
}

TEST_F(DeviceOperationsTest, TroubleIsToldOfTheOperationThatRuns) {
  operations_.note(begin(1), DeviceProgress::ended);
  begin(2);
  const auto trouble = operations_.judge("remote process exited");
  ASSERT_TRUE(trouble);
  EXPECT_EQ(trouble->kind, Error::Kind::failure);
  EXPECT_THAT(trouble->message,
              HasSubstr("rank 1 of 2: allreduce #2 of 2 bytes failed: remote process exited"));
}

TEST_F(DeviceOperationsTest, TroubleBetweenOperationsNamesTheLastOne) {
  operations_.note(begin(1), DeviceProgress::ended);
  EXPECT_THAT(operations_.judge("a network error")->message, HasSubstr("allreduce #1 of 1 bytes had ended"));
}

TEST_F(DeviceOperationsTest, TroubleBeforeTheFirstOperationIsThatOfTheStart) {
  EXPECT_THAT(operations_.judge("no network")->message,
              HasSubstr("rank 1 of 2: the start of the communicator failed: no network"));
}

TEST_F(DeviceOperationsTest, AfterAnErrorNothingStartsAndTheErrorIsToldOnce) {
  begin();
  EXPECT_TRUE(operations_.status().ok());
  EXPECT_TRUE(operations_.judge("a network error"));
  EXPECT_FALSE(operations_.judge("another"));
  EXPECT_THAT(operations_.status().error().message, HasSubstr("a network error"));
  const auto next = operations_.begin("allreduce", 8);
  ASSERT_FALSE(next.ok());
  EXPECT_THAT(next.error().message,
              HasSubstr("allreduce #2 cannot start after an earlier error: rank 1 of 2"));
  EXPECT_THAT(operations_.fail("allreduce", 8, "a third").message, HasSubstr("a network error"));
}

TEST_F(DeviceOperationsTest, AFailedCallIsToBeGivenUpToo) {
  begin();
  EXPECT_THAT(operations_.fail("allreduce", 4096, "invalid usage").message,
              HasSubstr("allreduce #1 of 4096 bytes failed: invalid usage"));
  EXPECT_TRUE(operations_.judge());
  EXPECT_FALSE(operations_.judge());
}

// Late at the third look; gives up when it is allowed to.
class LateOne : public Watched {
 public:
  std::optional<Error> look() override {
    return ++looks == 3 ? std::optional(timed_out("allreduce #3 is late")) : std::nullopt;
  }
  void give_up() override {
    may_return.wait();
    has_given_up = true;
  }

  std::atomic<int> looks = 0;
  std::latch may_return{1};
  std::atomic<bool> has_given_up = false;
};

void wait_for(const std::function<bool()>& condition) {
  const SystemClock clock;
  const Deadline deadline(clock, seconds(20));
  while (!condition() && !deadline.passed()) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(condition());
}

TEST(Watchdog, GivesUpOnceWhatIsLate) {
  LateOne late;
  late.may_return.count_down();
  {
    const Watchdog watchdog(late, {.interval = milliseconds(1)});
    wait_for([&] { return watchdog.state() == Watchdog::State::given_up; });
  }
  EXPECT_TRUE(late.has_given_up);
  EXPECT_EQ(late.looks, 3);
}

TEST(Watchdog, EndsTheProcessWhenGivingUpHangs) {
  LateOne late;
  std::string said;
  {
    const Watchdog watchdog(late, {.interval = milliseconds(1),
                                   .give_up_limit = milliseconds(20),
                                   .end_process = [&](const std::string& sentence) {
                                     said = sentence;
                                     late.may_return.count_down();
                                   }});
    wait_for([&] { return watchdog.state() == Watchdog::State::given_up; });
  }
  EXPECT_THAT(said, HasSubstr("allreduce #3 is late; and the operation could not be given up within 0.02 s"));
}

TEST(Watchdog, StopsAtOnceWhenNothingIsLate) {
  class Calm : public Watched {
   public:
    std::optional<Error> look() override { return std::nullopt; }
    void give_up() override { ADD_FAILURE(); }
  } calm;
  const SystemClock clock;
  const Microseconds begin = clock.monotonic();
  { const Watchdog watchdog(calm, {.interval = seconds(60)}); }
  EXPECT_LT(clock.monotonic() - begin, seconds(30));
}

TEST(WatchdogDeathTest, AStuckDeviceEndsTheProcessWithItsOwnExitCode) {
  EXPECT_EXIT(end_stuck_process("card 0 is stuck"), testing::ExitedWithCode(75), "");
}

}  // namespace
}  // namespace regatta

// The leader's line against a scripted coordinator behind a real socket.
#include "worker/leader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "worker/leader_control.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kArrives{20};  // a limit that only a failing test reaches

class LeaderTest : public testing::Test {
 protected:
  LeaderTest() { listen(); }

  // A coordinator begins: on a port of its own, with the address in the folder.
  void listen() {
    server_ = ServerSocket::bind("tcp://127.0.0.1:*", keys_).value();
    ++session_;
    EXPECT_TRUE(write_address(folder_.path(), {server_->endpoint(), "localhost", session_}).ok());
  }

  void connect(Microseconds first_contact_limit = kArrives) {
    link_ = std::make_unique<CoordinatorLink>(LeaderOptions{.folder = folder_.path(),
                                                            .name = "crew-0.1",
                                                            .ranks = 2,
                                                            .first_contact_limit = first_contact_limit},
                                              clock_);
  }

  // The next message that is no heartbeat; heartbeats are answered.
  wire::FromCrew next() {
    const Deadline deadline(clock_, kArrives);
    while (!deadline.passed()) {
      auto received = server_->receive(milliseconds(50));
      if (!received) {
        continue;
      }
      if (!received->message.has_heartbeat()) {
        return std::move(received->message);
      }
      wire::ToCrew alive;
      alive.mutable_alive();
      tell(alive);
    }
    ADD_FAILURE() << "nothing came";
    return {};
  }

  void tell(const wire::ToCrew& message) { (void)server_->send("crew-0.1", message); }

  void welcome(int orphan_limit_ms = 60'000) {
    wire::ToCrew message;
    message.mutable_welcome()->set_heartbeat_ms(50);
    message.mutable_welcome()->set_orphan_limit_ms(static_cast<std::uint32_t>(orphan_limit_ms));
    tell(message);
  }

  void start(std::int64_t attempt, int until_epoch) {
    wire::ToCrew message;
    message.mutable_start_attempt()->set_attempt(attempt);
    message.mutable_start_attempt()->set_until_epoch(until_epoch);
    tell(message);
  }

  void answer(std::int64_t attempt, int epoch, int until_epoch) {
    wire::ToCrew message;
    message.mutable_answer_report()->set_attempt(attempt);
    message.mutable_answer_report()->set_epoch(epoch);
    message.mutable_answer_report()->set_go_on(true);
    message.mutable_answer_report()->set_until_epoch(until_epoch);
    tell(message);
  }

  wire::ToCrew order(LeaderControl& control) {
    const auto message = control.next_order(kArrives);
    EXPECT_TRUE(message.ok() && *message);
    return message.ok() && *message ? **message : wire::ToCrew();
  }

  const SystemClock clock_;
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  StudyKeys keys_ = make_keys(folder_.path()).value();
  std::unique_ptr<ServerSocket> server_;
  long session_ = 0;
  std::unique_ptr<CoordinatorLink> link_;
};

TEST_F(LeaderTest, AnAttemptFromHelloToItsEnd) {
  connect();
  const wire::FromCrew hello = next();
  ASSERT_TRUE(hello.has_hello());
  EXPECT_EQ(hello.hello().ranks(), 2U);
  EXPECT_EQ(hello.hello().attempts_size(), 0);
  welcome();
  start(7, 1);
  LeaderControl control(*link_);
  EXPECT_TRUE(order(control).has_welcome());
  const wire::ToCrew begin = order(control);
  ASSERT_TRUE(begin.has_start_attempt());
  control.begin(begin.start_attempt());

  ASSERT_TRUE(control.report({.epoch = 1, .metrics = {{"val_loss", 0.5}}, .checkpoint = "c1"}).ok());
  const wire::FromCrew report = next();
  ASSERT_TRUE(report.has_report());
  EXPECT_EQ(report.report().checkpoint(), "c1");
  answer(7, 1, 3);
  const auto decision = control.decide(1, kArrives);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->until_epoch, 3);

  ASSERT_TRUE(control.finish({.how = AttemptEnd::How::diverged, .message = "caf\xc3\xa9"}).ok());
  EXPECT_EQ(next().attempt_finished().outcome(), wire::AttemptFinished::DIVERGED);
  EXPECT_TRUE(next().has_lane_free());
}

TEST_F(LeaderTest, CoordinatorThatMovedHearsTheUnansweredReportOnceMore) {
  connect();
  (void)next();
  welcome();
  start(7, 3);
  LeaderControl control(*link_);
  (void)order(control);
  control.begin(order(control).start_attempt());
  ASSERT_TRUE(control.report({.epoch = 1, .checkpoint = "c1"}).ok());
  ASSERT_TRUE(control.report({.epoch = 2, .checkpoint = "c2"}).ok());
  EXPECT_EQ(next().report().epoch(), 1);
  answer(7, 1, 4);
  EXPECT_EQ(next().report().epoch(), 2);
  EXPECT_EQ(control.decide(3, kArrives)->until_epoch, 4);  // the answer has arrived

  server_.reset();  // the coordinator dies before it answers epoch 2
  ASSERT_TRUE(control.report({.epoch = 3, .checkpoint = "c3"}).ok());
  listen();
  const wire::FromCrew hello = next();
  ASSERT_TRUE(hello.has_hello());
  ASSERT_EQ(hello.hello().attempts_size(), 1);
  EXPECT_EQ(hello.hello().attempts(0), 7);
  welcome();
  EXPECT_EQ(next().report().epoch(), 2);
  EXPECT_EQ(next().report().epoch(), 3);
  answer(7, 2, 4);
  answer(7, 3, 9);
  const Microseconds moved = clock_.monotonic();
  const auto decision = control.decide(3, kArrives);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->until_epoch, 9);
  while (const auto received = server_->receive(milliseconds(200))) {
    EXPECT_TRUE(received->message.has_heartbeat()) << "nothing is sent a third time";
    if (clock_.monotonic() - moved > seconds(1)) {
      break;
    }
  }
}

TEST_F(LeaderTest, IntroducesItselfWhenAsked) {
  connect();
  (void)next();
  welcome();
  wire::ToCrew introduce;
  introduce.mutable_introduce();
  tell(introduce);
  EXPECT_TRUE(next().has_hello());
}

TEST_F(LeaderTest, OrdersThatComeWithAnEndWaitForIt) {
  connect();
  (void)next();
  welcome();
  start(7, 5);
  LeaderControl control(*link_);
  (void)order(control);
  control.begin(order(control).start_attempt());
  wire::ToCrew end;
  end.mutable_end_attempt()->set_attempt(7);
  tell(end);
  start(8, 2);
  auto decision = control.decide(1, milliseconds(0));
  const Deadline deadline(clock_, kArrives);
  while (decision->action == Decision::Action::go_on && !deadline.passed()) {
    decision = control.decide(6, milliseconds(50));
  }
  EXPECT_EQ(decision->action, Decision::Action::end);
  ASSERT_TRUE(control.finish({.how = AttemptEnd::How::ordered}).ok());
  EXPECT_EQ(order(control).start_attempt().attempt(), 8);
}

TEST_F(LeaderTest, SuspendIsForTheRunningAttempt) {
  connect();
  (void)next();
  welcome();
  start(7, 5);
  LeaderControl control(*link_);
  (void)order(control);
  control.begin(order(control).start_attempt());
  wire::ToCrew suspend;
  suspend.mutable_suspend_attempt()->set_attempt(7);
  tell(suspend);
  auto decision = control.decide(5, kArrives);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->action, Decision::Action::suspend);
}

TEST_F(LeaderTest, RefusalIsAnErrorWithTheReason) {
  connect();
  (void)next();
  wire::ToCrew refused;
  refused.mutable_refused()->set_reason("another version");
  tell(refused);
  const auto message = link_->receive(kArrives);
  ASSERT_FALSE(message.ok());
  EXPECT_THAT(message.error().message, testing::HasSubstr("another version"));
}

TEST_F(LeaderTest, NoFirstAnswerIsAnErrorThatNamesTheEndpoint) {
  connect(milliseconds(1500));
  const auto message = link_->receive(kArrives);
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(message.error().kind, Error::Kind::timeout);
  EXPECT_THAT(message.error().message, testing::HasSubstr(server_->endpoint()));
}

TEST_F(LeaderTest, ACrewWithoutWorkOrCoordinatorDismissesItself) {
  connect();
  (void)next();
  welcome(300);
  LeaderControl control(*link_);
  EXPECT_TRUE(order(control).has_welcome());
  server_.reset();
  const Deadline deadline(clock_, kArrives);
  std::optional<wire::ToCrew> last;
  while (!last && !deadline.passed()) {
    last = control.next_order(milliseconds(50)).value();
  }
  ASSERT_TRUE(last);
  EXPECT_TRUE(last->has_dismiss());
}

}  // namespace
}  // namespace regatta

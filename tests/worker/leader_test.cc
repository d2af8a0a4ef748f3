// The leader's line against a scripted coordinator behind a real socket.
#include "worker/leader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "scripted_coordinator.h"
#include "worker/leader_control.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kArrives{20};  // a limit that only a failing test reaches

class LeaderTest : public testing::Test {
 protected:
  void connect(Microseconds first_contact_limit = kArrives) {
    link_ = std::make_unique<CoordinatorLink>(LeaderOptions{.folder = folder_.path(),
                                                            .name = "crew-0.1",
                                                            .ranks = 2,
                                                            .first_contact_limit = first_contact_limit},
                                              clock_);
    control_ = std::make_unique<LeaderControl>(*link_, asked_to_leave_);
  }

  // From Hello to the begin of an attempt.
  void begin_attempt(std::int64_t attempt, int until_epoch) {
    connect();
    EXPECT_TRUE(coordinator_.next().has_hello());
    coordinator_.welcome();
    coordinator_.start(attempt, until_epoch);
    EXPECT_TRUE(order().has_welcome());
    const wire::ToCrew start = order();
    ASSERT_TRUE(start.has_start_attempt());
    attempt_ = control_->begin(start.start_attempt());
  }

  // Until the leader holds all that it was told.
  void wait_for_all() {
    wire::ToCrew introduce;
    introduce.mutable_introduce();
    coordinator_.tell(introduce);
    EXPECT_TRUE(coordinator_.next().has_hello());
    coordinator_.welcome();
  }

  wire::ToCrew order() {
    const auto message = control_->next_order(kArrives);
    EXPECT_TRUE(message.ok() && *message);
    return message.ok() && *message ? **message : wire::ToCrew();
  }

  const SystemClock clock_;
  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  ScriptedCoordinator coordinator_{folder_.path(), "crew-0.1"};
  std::unique_ptr<CoordinatorLink> link_;
  std::unique_ptr<LeaderControl> control_;
  AttemptControl* attempt_ = nullptr;     // that began last
  std::function<bool()> asked_to_leave_;  // of a guest
};

TEST_F(LeaderTest, AnAttemptFromHelloToItsEnd) {
  connect();
  const wire::FromCrew hello = coordinator_.next();
  ASSERT_TRUE(hello.has_hello());
  EXPECT_EQ(hello.hello().ranks(), 2U);
  EXPECT_EQ(hello.hello().attempts_size(), 0);
  coordinator_.welcome();
  coordinator_.start(7, 1);
  EXPECT_TRUE(order().has_welcome());
  attempt_ = control_->begin(order().start_attempt());

  ASSERT_TRUE(attempt_->report({.epoch = 1, .metrics = {{"val_loss", 0.5}}, .checkpoint = "c1"}).ok());
  const wire::FromCrew report = coordinator_.next();
  ASSERT_TRUE(report.has_report());
  EXPECT_EQ(report.report().checkpoint(), "c1");
  coordinator_.answer(7, 1, 3);
  const auto decision = attempt_->decide(1, kArrives);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->until_epoch, 3);

  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::diverged, .message = "caf\xc3\xa9"}).ok());
  EXPECT_EQ(coordinator_.next().attempt_finished().outcome(), wire::AttemptFinished::DIVERGED);
  EXPECT_TRUE(coordinator_.next().has_lane_free());
}

TEST_F(LeaderTest, LongMessageOfAProgramIsCutBetweenCharactersAndElseLeftAsItIs) {
  begin_attempt(7, 3);
  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::failed, .message = "caf\xc3\xa9 \xff"}).ok());
  EXPECT_EQ(coordinator_.next().attempt_finished().message(), "caf\xc3\xa9 \xff");
  EXPECT_TRUE(coordinator_.next().has_lane_free());
  coordinator_.start(8, 3);
  attempt_ = control_->begin(order().start_attempt());
  std::string message = "x";
  for (int i = 0; i < 4000; ++i) {
    message += "\xc3\xa9";
  }
  ASSERT_TRUE(control_->finish(8, {.how = AttemptEnd::How::failed, .message = message}).ok());
  EXPECT_EQ(coordinator_.next().attempt_finished().message(), message.substr(0, 7999));
}

TEST_F(LeaderTest, CoordinatorThatMovedHearsTheUnansweredReportOnceMore) {
  begin_attempt(7, 3);
  ASSERT_TRUE(attempt_->report({.epoch = 1, .checkpoint = "c1"}).ok());
  ASSERT_TRUE(attempt_->report({.epoch = 2, .checkpoint = "c2"}).ok());
  EXPECT_EQ(coordinator_.next().report().epoch(), 1);
  coordinator_.answer(7, 1, 4);
  EXPECT_EQ(coordinator_.next().report().epoch(), 2);
  EXPECT_EQ(attempt_->decide(3, kArrives)->until_epoch, 4);  // the answer has arrived

  coordinator_.die();  // before it answers epoch 2
  ASSERT_TRUE(attempt_->report({.epoch = 3, .checkpoint = "c3"}).ok());
  coordinator_.listen();
  const wire::FromCrew hello = coordinator_.next();
  ASSERT_EQ(hello.hello().attempts_size(), 1);
  EXPECT_EQ(hello.hello().attempts(0), 7);
  coordinator_.welcome();
  EXPECT_EQ(coordinator_.next().report().epoch(), 2);
  EXPECT_EQ(coordinator_.next().report().epoch(), 3);
  coordinator_.answer(7, 2, 4);
  coordinator_.answer(7, 3, 9);
  const int after_one_or_both_answers = attempt_->decide(8, kArrives)->until_epoch;
  EXPECT_EQ(
      after_one_or_both_answers == 4 ? attempt_->decide(8, kArrives)->until_epoch : after_one_or_both_answers,
      9);
  EXPECT_EQ(coordinator_.next(seconds(1)).what_case(), wire::FromCrew::WHAT_NOT_SET) << "said a third time";
}

TEST_F(LeaderTest, TheEndOfAnAttemptIsSaidAgainUntilItIsConfirmed) {
  begin_attempt(7, 3);
  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::failed, .message = "no"}).ok());
  EXPECT_TRUE(coordinator_.next().has_attempt_finished());
  EXPECT_TRUE(coordinator_.next().has_lane_free());
  coordinator_.die();
  coordinator_.listen();
  EXPECT_EQ(coordinator_.next().hello().attempts_size(), 1);
  coordinator_.welcome();
  EXPECT_TRUE(coordinator_.next().has_attempt_finished());
  EXPECT_TRUE(coordinator_.next().has_lane_free());
  coordinator_.end(7);
  coordinator_.die();
  coordinator_.listen();
  EXPECT_EQ(coordinator_.next().hello().attempts_size(), 0);
}

TEST_F(LeaderTest, IntroducesItselfWhenAsked) {
  connect();
  EXPECT_TRUE(coordinator_.next().has_hello());
  coordinator_.welcome();
  wire::ToCrew introduce;
  introduce.mutable_introduce();
  coordinator_.tell(introduce);
  EXPECT_TRUE(coordinator_.next().has_hello());
}

TEST_F(LeaderTest, OrdersThatComeWithAnEndWaitForIt) {
  begin_attempt(7, 5);
  coordinator_.end(7);
  coordinator_.start(8, 2);
  const auto decision = attempt_->decide(5, kArrives);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->action, Decision::Action::end);
  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::ordered}).ok());
  EXPECT_EQ(order().start_attempt().attempt(), 8);
}

TEST_F(LeaderTest, AnAttemptThatIsEndedWhileItWaitsNeverBegins) {
  begin_attempt(7, 5);
  coordinator_.end(7);
  coordinator_.start(8, 2);
  coordinator_.end(8);
  coordinator_.start(9, 2);
  wait_for_all();
  EXPECT_EQ(attempt_->decide(5, kArrives)->action, Decision::Action::end);
  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::ordered}).ok());
  EXPECT_EQ(order().start_attempt().attempt(), 9);
  coordinator_.die();
  coordinator_.listen();
  const wire::FromCrew hello = coordinator_.next();
  ASSERT_EQ(hello.hello().attempts_size(), 1);
  EXPECT_EQ(hello.hello().attempts(0), 9);
}

TEST_F(LeaderTest, AnAttemptThatIsSuspendedWhileItWaitsBeginsSuspended) {
  begin_attempt(7, 5);
  coordinator_.end(7);
  coordinator_.start(8, 2);
  coordinator_.suspend(8);
  wait_for_all();
  EXPECT_EQ(attempt_->decide(5, kArrives)->action, Decision::Action::end);
  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::ordered}).ok());
  attempt_ = control_->begin(order().start_attempt());
  EXPECT_EQ(attempt_->decide(0, Microseconds(0))->action, Decision::Action::suspend);
}

TEST_F(LeaderTest, NothingThatWaitsBeginsAfterDismiss) {
  begin_attempt(7, 5);
  coordinator_.end(7);
  coordinator_.start(8, 2);
  coordinator_.dismiss();
  wait_for_all();
  EXPECT_EQ(attempt_->decide(5, kArrives)->action, Decision::Action::end);
  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::ordered}).ok());
  EXPECT_TRUE(order().has_dismiss());
}

TEST_F(LeaderTest, SuspendIsForTheRunningAttempt) {
  begin_attempt(7, 5);
  coordinator_.suspend(7);
  const auto decision = attempt_->decide(5, kArrives);
  ASSERT_TRUE(decision.ok());
  EXPECT_EQ(decision->action, Decision::Action::suspend);
}

TEST_F(LeaderTest, RefusalIsAnErrorWithTheReason) {
  connect();
  EXPECT_TRUE(coordinator_.next().has_hello());
  wire::ToCrew refused;
  refused.mutable_refused()->set_reason("another version");
  coordinator_.tell(refused);
  const auto message = link_->receive(kArrives);
  ASSERT_FALSE(message.ok());
  EXPECT_THAT(message.error().message, testing::HasSubstr("another version"));
}

TEST_F(LeaderTest, NoFirstAnswerIsAnErrorThatNamesTheEndpoint) {
  connect(milliseconds(1500));
  const auto message = link_->receive(kArrives);
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(message.error().kind, Error::Kind::timeout);
  EXPECT_THAT(message.error().message, testing::HasSubstr(coordinator_.endpoint()));
}

TEST_F(LeaderTest, AGuestThatIsAskedToLeaveSavesAndTakesNoMoreWork) {
  bool asked = false;
  asked_to_leave_ = [&] { return asked; };
  begin_attempt(7, 5);
  EXPECT_EQ(attempt_->decide(0, Microseconds(0))->action, Decision::Action::go_on);
  asked = true;
  EXPECT_EQ(attempt_->decide(0, Microseconds(0))->action, Decision::Action::suspend);
  coordinator_.start(8, 2);
  wait_for_all();
  ASSERT_TRUE(control_->finish(7, {.how = AttemptEnd::How::interrupted, .checkpoint = "c"}).ok());
  EXPECT_TRUE(coordinator_.next().has_attempt_finished());
  EXPECT_TRUE(order().has_dismiss());
  EXPECT_TRUE(control_->is_leaving());
  EXPECT_FALSE(coordinator_.next(milliseconds(300)).has_lane_free());
}

TEST_F(LeaderTest, AGuestStaysWhenTheCoordinatorIsExpectedBack) {
  asked_to_leave_ = [] { return false; };
  begin_attempt(7, 5);
  coordinator_.dismiss(/*comes_back=*/true);
  wait_for_all();
  EXPECT_EQ(attempt_->decide(0, Microseconds(0))->action, Decision::Action::go_on);
  const auto next = control_->next_order(milliseconds(100));
  ASSERT_TRUE(next.ok());
  EXPECT_FALSE(next->has_value());
}

TEST_F(LeaderTest, TheStudysOwnCrewGoesAlsoWhenTheCoordinatorIsExpectedBack) {
  begin_attempt(7, 5);
  coordinator_.dismiss(/*comes_back=*/true);
  wait_for_all();
  EXPECT_EQ(attempt_->decide(0, Microseconds(0))->action, Decision::Action::end);
  EXPECT_TRUE(order().has_dismiss());
}

TEST_F(LeaderTest, ACrewWithoutWorkOrCoordinatorDismissesItself) {
  connect();
  EXPECT_TRUE(coordinator_.next().has_hello());
  coordinator_.welcome(300);
  EXPECT_TRUE(order().has_welcome());
  coordinator_.die();
  const Deadline deadline(clock_, kArrives);
  std::optional<wire::ToCrew> last;
  while (!last && !deadline.passed()) {
    last = control_->next_order(milliseconds(50)).value();
  }
  ASSERT_TRUE(last);
  EXPECT_TRUE(last->has_dismiss());
}

}  // namespace
}  // namespace regatta

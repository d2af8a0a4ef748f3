// What is said again after a reconnection, and what is not.
#include "worker/logbook.h"

#include <gtest/gtest.h>

namespace regatta {
namespace {

wire::ToCrew start(std::int64_t attempt) {
  wire::ToCrew message;
  message.mutable_start_attempt()->set_attempt(attempt);
  return message;
}

wire::FromCrew report(std::int64_t attempt, int epoch) {
  wire::FromCrew message;
  message.mutable_report()->set_attempt(attempt);
  message.mutable_report()->set_epoch(epoch);
  return message;
}

wire::FromCrew finished(std::int64_t attempt) {
  wire::FromCrew message;
  message.mutable_attempt_finished()->set_attempt(attempt);
  return message;
}

wire::FromCrew lane_free() {
  wire::FromCrew message;
  message.mutable_lane_free()->set_lanes(1);
  return message;
}

wire::ToCrew answer(std::int64_t attempt, int epoch, bool go_on) {
  wire::ToCrew message;
  message.mutable_answer_report()->set_attempt(attempt);
  message.mutable_answer_report()->set_epoch(epoch);
  message.mutable_answer_report()->set_go_on(go_on);
  return message;
}

wire::ToCrew end(std::int64_t attempt) {
  wire::ToCrew message;
  message.mutable_end_attempt()->set_attempt(attempt);
  return message;
}

TEST(Logbook, ReportsAreKeptUntilTheirOwnAnswer) {
  Logbook logbook;
  EXPECT_TRUE(logbook.hear(start(7)));
  EXPECT_TRUE(logbook.say(report(7, 1)));
  EXPECT_TRUE(logbook.say(report(7, 2)));
  EXPECT_TRUE(logbook.hear(answer(7, 1, true)));
  ASSERT_EQ(logbook.unanswered().size(), 1U);
  EXPECT_EQ(logbook.unanswered()[0].report().epoch(), 2);
  EXPECT_TRUE(logbook.hear(answer(7, 2, false)));
  EXPECT_TRUE(logbook.unanswered().empty());
  EXPECT_TRUE(logbook.attempts().empty());
}

TEST(Logbook, AnEndIsKeptUntilItIsConfirmed) {
  Logbook logbook;
  (void)logbook.hear(start(7));
  (void)logbook.say(report(7, 1));
  (void)logbook.say(finished(7));
  (void)logbook.say(lane_free());
  EXPECT_EQ(logbook.attempts().count(7), 1U);
  ASSERT_EQ(logbook.unanswered().size(), 3U);
  EXPECT_TRUE(logbook.unanswered()[0].has_report());
  EXPECT_TRUE(logbook.unanswered()[1].has_attempt_finished());
  EXPECT_TRUE(logbook.unanswered()[2].has_lane_free());
  EXPECT_TRUE(logbook.hear(end(7)));
  EXPECT_TRUE(logbook.attempts().empty());
  ASSERT_EQ(logbook.unanswered().size(), 1U);
  EXPECT_TRUE(logbook.unanswered()[0].has_lane_free());
}

TEST(Logbook, WordsOfAnEndedAttemptAreNotSent) {
  Logbook logbook;
  (void)logbook.hear(start(7));
  (void)logbook.hear(end(7));
  EXPECT_FALSE(logbook.say(report(7, 1)));
  EXPECT_FALSE(logbook.say(finished(7)));
  EXPECT_FALSE(logbook.hear(end(7)));
  EXPECT_TRUE(logbook.unanswered().empty());
}

TEST(Logbook, RepeatedOrdersAreNoNews) {
  Logbook logbook;
  EXPECT_TRUE(logbook.hear(start(7)));
  EXPECT_FALSE(logbook.hear(start(7)));
  wire::ToCrew alive;
  alive.mutable_alive();
  EXPECT_FALSE(logbook.hear(alive));
}

TEST(Logbook, TheNextOrderAnswersAnEvaluation) {
  Logbook logbook;
  wire::FromCrew done;
  done.mutable_evaluation_done()->set_trial(3);
  (void)logbook.say(done);
  EXPECT_EQ(logbook.unanswered().size(), 1U);
  wire::ToCrew dismiss;
  dismiss.mutable_dismiss();
  EXPECT_TRUE(logbook.hear(dismiss));
  EXPECT_TRUE(logbook.unanswered().empty());
}

}  // namespace
}  // namespace regatta

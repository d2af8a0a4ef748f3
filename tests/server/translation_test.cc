// Every field arrives, and an inactive parameter is told from a number.
#include "coordinator/translation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace regatta {
namespace {

TEST(Translation, ReportKeepsItsMetricsInOrder) {
  wire::FromCrew message;
  auto* report = message.mutable_report();
  report->set_attempt(7);
  report->set_epoch(3);
  report->set_checkpoint("checkpoints/0-3");
  report->set_seconds(1.5);
  for (const auto& [name, value] : Metrics{{"loss", 0.25}, {"accuracy", std::nan("")}}) {
    auto* metric = report->add_metrics();
    metric->set_name(name);
    metric->set_value(value);
  }
  const auto input = input_from("crew-0.0", message);
  ASSERT_TRUE(input);
  const auto& received = std::get<ReportReceived>(*input);
  EXPECT_EQ(received.crew, "crew-0.0");
  EXPECT_EQ(received.attempt, 7);
  EXPECT_EQ(received.epoch, 3);
  EXPECT_EQ(received.checkpoint, "checkpoints/0-3");
  EXPECT_EQ(received.seconds, 1.5);
  ASSERT_EQ(received.metrics.size(), 2U);
  EXPECT_EQ(received.metrics[0], (std::pair<std::string, double>("loss", 0.25)));
  EXPECT_EQ(received.metrics[1].first, "accuracy");
  EXPECT_TRUE(std::isnan(received.metrics[1].second));
}

TEST(Translation, AReportTellsOfACardOnlyWhereThereIsOne) {
  wire::FromCrew message;
  auto* report = message.mutable_report();
  report->set_attempt(7);
  const auto load_of = [&] { return std::get<ReportReceived>(*input_from("crew-0.0", message)).card; };
  EXPECT_FALSE(load_of().memory_bytes);
  EXPECT_FALSE(load_of().utilization);
  report->set_gpu_memory_bytes(5'000'000'000);
  report->set_gpu_utilization(0);
  EXPECT_EQ(load_of().memory_bytes, 5'000'000'000U);
  EXPECT_EQ(load_of().utilization, 0.0);
}

TEST(Translation, EveryOutcomeHasItsCounterpart) {
  using Wire = wire::AttemptFinished;
  const std::vector<std::pair<Wire::Outcome, Outcome>> pairs = {
      {Wire::COMPLETE, Outcome::complete}, {Wire::DIVERGED, Outcome::diverged},
      {Wire::FAILED, Outcome::failed},     {Wire::INVALID, Outcome::invalid},
      {Wire::LOST, Outcome::lost},         {Wire::INTERRUPTED, Outcome::interrupted}};
  for (const auto& [sent, expected] : pairs) {
    wire::FromCrew message;
    message.mutable_attempt_finished()->set_outcome(sent);
    EXPECT_EQ(std::get<AttemptFinished>(*input_from("a", message)).outcome, expected);
  }
}

TEST(Translation, InactiveParametersTravelAsNaN) {
  const auto outgoing = outgoing_from(StartAttempt{.crew = "crew-1.0",
                                                   .attempt = 9,
                                                   .trial = 4,
                                                   .point = {0.5, std::nullopt, 2.0},
                                                   .until_epoch = 3,
                                                   .checkpoint = "c"});
  ASSERT_TRUE(outgoing);
  EXPECT_EQ(outgoing->crew, "crew-1.0");
  const wire::StartAttempt& start = outgoing->message.start_attempt();
  EXPECT_EQ(start.attempt(), 9);
  EXPECT_EQ(start.trial(), 4);
  EXPECT_EQ(start.until_epoch(), 3);
  EXPECT_EQ(start.checkpoint(), "c");
  ASSERT_EQ(start.point_size(), 3);
  EXPECT_EQ(start.point(0), 0.5);
  EXPECT_TRUE(std::isnan(start.point(1)));
  EXPECT_EQ(start.point(2), 2.0);
}

TEST(Translation, AnswersSayWhetherToGoOn) {
  using Action = AnswerReport::Action;
  const auto on = outgoing_from(
      AnswerReport{.crew = "a", .attempt = 1, .epoch = 2, .action = Action::go_on, .until_epoch = 9});
  EXPECT_TRUE(on->message.answer_report().go_on());
  EXPECT_EQ(on->message.answer_report().until_epoch(), 9);
  const auto end = outgoing_from(AnswerReport{.crew = "a", .attempt = 1, .epoch = 2, .action = Action::end});
  EXPECT_FALSE(end->message.answer_report().go_on());
}

TEST(Translation, DeletionsAreNotSent) { EXPECT_FALSE(outgoing_from(DeleteCheckpoint{.checkpoint = "c"})); }

}  // namespace
}  // namespace regatta

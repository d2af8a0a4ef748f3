// Facts survive their way into the store and back, whatever they hold.
#include "coordinator/events.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

namespace regatta {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNaN = std::numeric_limits<double>::quiet_NaN();

Event twice_coded(const Event& event) {
  auto decoded = decode(encode(event));
  EXPECT_TRUE(decoded.ok()) << decoded.error().message;
  return *std::move(decoded);
}

TEST(Events, EveryKindReadsBackAsItWasWritten) {
  const std::vector<Event> events = {
      TrialProposed{.trial = 3, .point = {0.1, std::nullopt, 1e-300}, .bracket = 2},
      AttemptStarted{.attempt = 7, .trial = 3, .crew = "c", .until_epoch = 9, .checkpoint = "t3/e1"},
      Reported{.attempt = 7, .trial = 3, .epoch = 2, .metrics = {{"b", 1}, {"a", 2}}, .checkpoint = "x"},
      AttemptEnded{.attempt = 7, .trial = 3, .outcome = Outcome::preempted, .message = "\"quoted\"\n"},
      TestMeasured{.trial = 3, .metrics = {{"accuracy", 0.9}}, .model = "best.safetensors"},
      StudyEnded{.reason = StudyEnded::Reason::time_over, .message = "m"},
      StudyResumed{.retry_failed = true},
      SearchClosed{.exhausted = true},
      SearchReopened{}};
  for (const Event& event : events) {
    const EncodedEvent once = encode(event);
    const EncodedEvent twice = encode(twice_coded(event));
    EXPECT_EQ(once.kind, twice.kind);
    EXPECT_EQ(once.body, twice.body);
  }
}

TEST(Events, MetricsKeepOrderAndEveryBit) {
  const Metrics metrics = {{"z", 0.1 + 0.2}, {"a", -0.0}, {"tiny", 5e-324}, {"big", 1.7976931348623157e308}};
  const auto read = std::get<Reported>(twice_coded(Reported{.metrics = metrics}));
  EXPECT_EQ(read.metrics, metrics);
  EXPECT_TRUE(std::signbit(read.metrics[1].second));
}

TEST(Events, NumbersThatJsonLacksSurvive) {
  const auto read = std::get<Reported>(twice_coded(
      Reported{.metrics = {{"nan", kNaN}, {"inf", kInfinity}, {"minus", -kInfinity}}, .seconds = kInfinity}));
  EXPECT_TRUE(std::isnan(read.metrics[0].second));
  EXPECT_EQ(read.metrics[1].second, kInfinity);
  EXPECT_EQ(read.metrics[2].second, -kInfinity);
  EXPECT_EQ(read.seconds, kInfinity);
}

TEST(Events, TheLoadOfACardIsKeptWhereThereIsOne) {
  const auto on_card = std::get<Reported>(
      twice_coded(Reported{.card = {.memory_bytes = 150'000'000'001ULL, .utilization = 0.97}}));
  EXPECT_EQ(on_card.card.memory_bytes, 150'000'000'001ULL);
  EXPECT_EQ(on_card.card.utilization, 0.97);
  const EncodedEvent on_cpus = encode(Reported{.attempt = 1});
  EXPECT_EQ(on_cpus.body.find("gpu"), std::string::npos) << on_cpus.body;
  EXPECT_FALSE(std::get<Reported>(*decode(on_cpus)).card.memory_bytes);
}

TEST(Events, EveryOutcomeAndReasonHasAName) {
  for (int i = 0; i <= static_cast<int>(Outcome::interrupted); ++i) {
    const AttemptEnded event{.outcome = static_cast<Outcome>(i)};
    EXPECT_EQ(std::get<AttemptEnded>(twice_coded(event)).outcome, event.outcome);
  }
  for (int i = 0; i <= static_cast<int>(StudyEnded::Reason::interrupted); ++i) {
    const StudyEnded event{.reason = static_cast<StudyEnded::Reason>(i)};
    EXPECT_EQ(std::get<StudyEnded>(twice_coded(event)).reason, event.reason);
  }
}

TEST(Events, AnUnknownKindIsAnErrorThatNamesIt) {
  const auto read = decode({.kind = "trial_cloned", .body = "{}"});
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message, testing::HasSubstr("trial_cloned"));
}

TEST(Events, DamagedBodiesAreErrors) {
  for (const char* body : {"", "{", "[]", "{}", "null", R"({"attempt":"seven"})",
                           R"({"attempt":1,"trial":1,"outcome":"won","checkpoint":"","message":""})"}) {
    EXPECT_FALSE(decode({.kind = "attempt_ended", .body = body}).ok()) << body;
  }
  EXPECT_FALSE(decode({.kind = "trial_proposed", .body = R"({"trial":0,"point":["x"],"bracket":0})"}).ok());
}

TEST(Events, CountsThatDoNotFitAreErrors) {
  for (const char* number : {"2147483648", "-2147483649", "18446744073709551615", "1.5", "1e300", "true"}) {
    const std::string body = R"({"point":[],"bracket":0,"trial":)" + std::string(number) + "}";
    const auto read = decode({.kind = "trial_proposed", .body = body});
    ASSERT_FALSE(read.ok()) << number;
    EXPECT_THAT(read.error().message, testing::HasSubstr("trial"));
  }
  EXPECT_FALSE(decode({.kind = "reported",
                       .body = R"({"attempt":9223372036854775808,"trial":0,"epoch":1,"metrics":[],)"
                               R"("checkpoint":"","seconds":0})"})
                   .ok());
}

TEST(Events, TextThatIsNotUtf8IsReplacedAndThenStable) {
  const std::string valid = valid_text("caf\xe9 \xff");
  EXPECT_EQ(valid_text(valid), valid);
  const auto read = std::get<AttemptEnded>(twice_coded(AttemptEnded{.message = valid}));
  EXPECT_EQ(read.message, valid);
  EXPECT_EQ(valid_text("größer"), "größer");
}

}  // namespace
}  // namespace regatta

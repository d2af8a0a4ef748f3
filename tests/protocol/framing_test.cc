// Outside bytes become messages or nothing.
#include "protocol/framing.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace regatta {
namespace {

wire::FromCrew some_report() {
  wire::FromCrew message;
  auto* report = message.mutable_report();
  report->set_attempt(7);
  report->set_epoch(3);
  auto* metric = report->add_metrics();
  metric->set_name("loss");
  metric->set_value(std::nan(""));
  report->set_checkpoint("checkpoints/0-3.safetensors");
  return message;
}

TEST(Framing, MessageReadsBack) {
  const auto parsed = parse_from_crew(some_report().SerializeAsString());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->report().attempt(), 7);
  EXPECT_TRUE(std::isnan(parsed->report().metrics(0).value()));
}

TEST(Framing, EmptyAndForeignBytesAreNoMessage) {
  EXPECT_FALSE(parse_from_crew(""));
  EXPECT_FALSE(parse_from_crew("GET / HTTP/1.1\r\n\r\n"));
  EXPECT_FALSE(parse_to_crew(""));
}

TEST(Framing, KindsOfALaterVersionAreNoMessage) {
  EXPECT_FALSE(parse_to_crew(std::string("\xba\x3e\x00", 3)));  // field 999, empty
}

TEST(Framing, OutcomeWithoutANameIsNoMessage) {
  wire::FromCrew message;
  message.mutable_attempt_finished()->set_outcome(static_cast<wire::AttemptFinished::Outcome>(99));
  EXPECT_FALSE(parse_from_crew(message.SerializeAsString()));
}

TEST(Framing, TooManyBytesAreNoMessage) {
  wire::FromCrew message;
  message.mutable_goodbye()->set_reason(std::string(kMaxMessageBytes, 'x'));
  EXPECT_FALSE(parse_from_crew(message.SerializeAsString()));
}

TEST(Framing, DamagedBytesNeverParseIntoAnUnknownKind) {
  const std::string good = some_report().SerializeAsString();
  const Random random(1, "damage");
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    std::string bytes = good;
    bytes[random.below(3 * i, bytes.size())] = static_cast<char>(random.bits(3 * i + 1));
    bytes.resize(random.below(3 * i + 2, bytes.size() + 1));
    const auto parsed = parse_from_crew(bytes);
    ASSERT_TRUE(!parsed || parsed->what_case() != wire::FromCrew::WHAT_NOT_SET) << "index " << i;
  }
}

TEST(Framing, CrewNamesAreShortAndPlain) {
  EXPECT_TRUE(is_crew_name("crew-0.2"));
  EXPECT_FALSE(is_crew_name(""));
  EXPECT_FALSE(is_crew_name("crew 0"));
  EXPECT_FALSE(is_crew_name("../crew"));
  EXPECT_FALSE(is_crew_name(std::string(65, 'a')));
}

}  // namespace
}  // namespace regatta

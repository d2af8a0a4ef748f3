// Which lines are reports, and which are for people.
#include "worker/program_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace regatta {
namespace {

TEST(ProgramLine, ReportsKeepTheirNumbersInOrder) {
  const auto report = parse_program_line(R"({"val_loss": 0.5, "epoch": 3, "note": "ok", "count": 7})");
  ASSERT_TRUE(report.ok() && *report);
  EXPECT_EQ((*report)->epoch, 3);
  EXPECT_THAT((*report)->metrics,
              testing::ElementsAre(testing::Pair("val_loss", 0.5), testing::Pair("count", 7)));
}

TEST(ProgramLine, WordsOfPythonsJsonAreNotFinite) {
  const auto report =
      parse_program_line(R"({"epoch": 1, "a": NaN, "b": -Infinity, "c": null, "NaN": 1, "d\"NaN": 2})");
  ASSERT_TRUE(report.ok() && *report);
  ASSERT_EQ((*report)->metrics.size(), 5U);
  EXPECT_TRUE(std::isnan((*report)->metrics[0].second));
  EXPECT_TRUE(std::isnan((*report)->metrics[1].second));
  EXPECT_TRUE(std::isnan((*report)->metrics[2].second));
  EXPECT_EQ((*report)->metrics[3], (std::pair<std::string, double>("NaN", 1)));
  EXPECT_EQ((*report)->metrics[4].first, "d\"NaN");
}

TEST(ProgramLine, OtherLinesAreForPeople) {
  for (const char* line : {"", "epoch 3", "{", "{'epoch': 3}", R"({"loss": 1})", R"(["epoch"])",
                           "{\"epoch\": 1", "\xff\xfe{", "{\"\xff\": 1, \"epoch\": 1}"}) {
    const auto report = parse_program_line(line);
    ASSERT_TRUE(report.ok()) << line;
    EXPECT_FALSE(report->has_value()) << line;
  }
}

TEST(ProgramLine, AnEpochThatIsNoneIsAMistake) {
  for (const char* line : {R"({"epoch": 0})", R"({"epoch": -1})", R"({"epoch": 1.5})", R"({"epoch": "3"})",
                           R"({"epoch": 1e300})", R"({"epoch": NaN})"}) {
    const auto report = parse_program_line(line);
    ASSERT_FALSE(report.ok()) << line;
    EXPECT_THAT(report.error().message, testing::HasSubstr("expected a count from 1"));
  }
}

TEST(ProgramLine, AnEpochNestedWithoutEndIsAMistakeToo) {
  const std::string lists = std::string(400'000, '[') + std::string(400'000, ']');
  const auto report = parse_program_line("{\"epoch\": " + lists + "}");
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.error().message, testing::HasSubstr("the epoch array; expected a count from 1"));
}

TEST(ProgramAnswer, IsOneJsonLine) {
  EXPECT_EQ(answer_line(ProgramAnswer::go_on), R"({"decision": "continue"})");
  EXPECT_EQ(answer_line(ProgramAnswer::stop), R"({"decision": "stop"})");
  EXPECT_EQ(answer_line(ProgramAnswer::pause), R"({"decision": "pause"})");
}

}  // namespace
}  // namespace regatta

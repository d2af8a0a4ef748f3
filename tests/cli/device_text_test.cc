// Cards and crews in words.
#include "cli/device_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::Not;

const FoundDevices kTwoCards{.cards = {{.index = 0, .name = "H200"}, {.index = 1, .name = "H100"}}};

TEST(CardLoadText, SaysWhatIsKnown) {
  EXPECT_EQ(describe(CardLoad{}), "");
  EXPECT_EQ(describe(CardLoad{.memory_bytes = 12ULL << 30U, .utilization = 0.974}),
            ", card: 12.0 GiB in use, 97 % busy");
  EXPECT_EQ(describe(CardLoad{.utilization = 0}), ", card: 0 % busy");
  EXPECT_EQ(describe(CardLoad{.memory_bytes = 1ULL << 29U}), ", card: 0.5 GiB in use");
}

TEST(CrewsText, NamesTheCardsOfEachRank) {
  const std::string text =
      describe_crews({.crews = 2, .ranks = 1, .threads = 3, .cards = {{0}, {1}}}, kTwoCards);
  EXPECT_THAT(text, HasSubstr("0 (H200)"));
  EXPECT_THAT(text, HasSubstr("1 (H100)"));
}

TEST(CrewsText, RanksBeginAgainWhereCardsAreFewer) {
  const std::string text = describe_crews({.crews = 1, .ranks = 3, .cards = {{0, 1}}}, kTwoCards);
  const std::size_t first = text.find("0 (H200)");
  ASSERT_NE(first, std::string::npos);
  EXPECT_NE(text.find("0 (H200)", first + 1), std::string::npos) << text;
}

TEST(CrewsText, ARankWithSeveralCardsHasThemAll) {
  EXPECT_THAT(describe_crews({.crews = 1, .ranks = 1, .cards = {{0, 1}}}, kTwoCards),
              HasSubstr("0 (H200), 1 (H100)"));
}

TEST(CrewsText, NamesTheCpusOfEachRank) {
  const std::string text = describe_crews({.crews = 1, .ranks = 2, .cpus = {{{0, 1, 2, 3}, {8}}}}, {});
  EXPECT_THAT(text, HasSubstr("0-3"));
  EXPECT_THAT(text, HasSubstr("8"));
  EXPECT_THAT(describe_crews({}, {}), HasSubstr("any"));
}

TEST(CrewsText, LeavesTheCardsOfASlurmJobToSlurm) {
  const std::string text = describe_crews({.crews = 2, .slurm = SlurmRoom{.gpus_a_node = 1}}, kTwoCards);
  EXPECT_THAT(text, HasSubstr("as Slurm gives"));
  EXPECT_THAT(text, Not(HasSubstr("H200")));
}

TEST(CrewsText, SaysThatThereAreNone) {
  const std::string text = describe_crews({.crews = 1, .ranks = 2}, {});
  EXPECT_THAT(text, HasSubstr("none: on CPUs"));
  EXPECT_THAT(text, Not(HasSubstr("H200")));
}

}  // namespace
}  // namespace regatta

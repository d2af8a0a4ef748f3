// Words for people.
#include "base/text.h"

#include <gtest/gtest.h>

#include <vector>

namespace regatta {
namespace {

TEST(NearestName, FindsTyposAndLeavesStrangersAlone) {
  const std::vector<std::string> known{"optimizer", "batch_size", "epochs"};
  EXPECT_EQ(nearest_name("optimiser", known), "optimizer");
  EXPECT_EQ(nearest_name("epohcs", known), "epochs");
  EXPECT_EQ(nearest_name("Epochs", known), "epochs");
  EXPECT_EQ(nearest_name("colour", known), std::nullopt);
  EXPECT_EQ(did_you_mean("epoch", known), " (did you mean 'epochs'?)");
}

TEST(FormatDuration, PicksTheUnitThatPeopleUse) {
  EXPECT_EQ(format_duration(0.84), "0.8 s");
  EXPECT_EQ(format_duration(12.4), "12 s");
  EXPECT_EQ(format_duration(185), "3 min 05 s");
  EXPECT_EQ(format_duration(8040), "2 h 14 min");
}

TEST(FormatCount, GroupsThousands) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1234567), "1,234,567");
  EXPECT_EQ(format_count(-1000), "-1,000");
}

TEST(OneOf, ReadsAsASentence) {
  EXPECT_EQ(one_of(std::vector<std::string>{"a", "b", "c"}), "a, b or c");
  EXPECT_EQ(one_of(std::vector<std::string>{"a"}), "a");
}

}  // namespace
}  // namespace regatta

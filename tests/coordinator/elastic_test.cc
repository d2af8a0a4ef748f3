// Who gets how many of the idle slots: the arithmetic alone.
#include "coordinator/elastic.h"

#include <gmock/gmock.h>

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::vector<std::size_t>> shares(const std::vector<int>& idle,
                                             const std::vector<Contender>& contenders) {
  std::vector<Contender> able = contenders;
  for (Contender& contender : able) {
    if (!contender.can_have) {
      contender.can_have = [](int) { return true; };
    }
  }
  return share_out(idle, able, {.start_seconds = 3, .handover_seconds = 1, .efficiency = 0.9, .margin = 1.5});
}

TEST(ShareOut, SharesAreEqualAndTheRestGoesToTheLongest) {
  EXPECT_THAT(shares({1, 1, 1}, {{.slots = 1, .seconds_left = 100}, {.slots = 1, .seconds_left = 200}}),
              ElementsAre(SizeIs(1), SizeIs(2)));
  EXPECT_THAT(shares({1}, {{.slots = 2, .seconds_left = 300}, {.slots = 1, .seconds_left = 100}}),
              ElementsAre(SizeIs(0), SizeIs(1)));
  EXPECT_THAT(shares({1, 2}, {{.slots = 1, .seconds_left = 90}}), ElementsAre(SizeIs(2)));
}

TEST(ShareOut, WhoIsSoonDoneLeavesTheSlotsToOthers) {
  EXPECT_THAT(shares({1, 1}, {{.slots = 1, .seconds_left = 5}, {.slots = 1, .seconds_left = 60}}),
              ElementsAre(SizeIs(0), SizeIs(2)));
  EXPECT_THAT(shares({1, 1}, {{.slots = 1, .seconds_left = 5}}), ElementsAre(IsEmpty()));
  EXPECT_THAT(shares({1}, {}), IsEmpty());
}

TEST(ShareOut, NobodyGetsMoreSlotsThanItCanHave) {
  const auto power_of_two = [](int slots) { return (slots & (slots - 1)) == 0; };
  EXPECT_THAT(shares({1, 1}, {{.slots = 1, .seconds_left = 60, .can_have = power_of_two}}),
              ElementsAre(SizeIs(1)));
  EXPECT_THAT(shares({1}, {{.slots = 1, .seconds_left = 90, .can_have = [](int slots) { return slots < 2; }},
                           {.slots = 1, .seconds_left = 60}}),
              ElementsAre(SizeIs(0), SizeIs(1)));
}

}  // namespace
}  // namespace regatta

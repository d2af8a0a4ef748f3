// A large crew makes room for small ones where a trial waits, and keeps its slots where that fails.
#include <gmock/gmock.h>

#include "elastic_kit.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(StudySplit, ALargeCrewMakesRoomForATrialThatWouldWaitLong) {
  Race race(kThreeTrials, elastic());
  order_split(race);
  EXPECT_THAT(race.commands_of<SuspendAttempt>(), IsEmpty()) << "it trains until the others are there";
  join(race, "a2", {0});
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].trial, 2);
  join(race, "b2", {1});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<SuspendAttempt>()[0].crew, "ab");
  race.finish(4, Outcome::interrupted, "", "t0/later");
  EXPECT_THAT(dismissed(race), ElementsAre("ab"));
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "b2");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/later");
}

TEST(StudySplit, ACrewThatCameByItselfTrainsAtOnceWhileALargeOneIsSplitOnCards) {
  Race race(kThreeTrials, elastic({.waits_for_exit = [] { return true; }}));
  order_split(race);
  race.join("another guest");
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
}

TEST(StudySplit, SmallCrewsOfASplitThatFailsAreDismissedAndTheLargeOneKeepsItsSlots) {
  for (const bool on_cards : {true, false}) {
    Race race(kThreeTrials, elastic({.waits_for_exit = [on_cards] { return on_cards; }}));
    order_split(race);
    join(race, "a2", {0});
    if (!on_cards) {
      race.finish(5, Outcome::failed, "its program fails");
    }
    race.wait(seconds(61));
    race.tell(CrewHeard{.crew = "ab"});
    EXPECT_THAT(dismissed(race), ElementsAre("a2"));
    EXPECT_EQ(reshaped(race).at(0), (std::vector<Slots>{{0, 1}}));
    race.lose("a2", true);
    race.report(4, 0.3);
    EXPECT_EQ(race.record(0).crew, "ab");
  }
}

TEST(StudySplit, ASmallCrewThatTrainsWhenASplitFailsSavesAndLeavesTheSlotsToTheLargeOne) {
  Race race(kThreeTrials, elastic());
  fail_split(race);
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<SuspendAttempt>()[0].crew, "a2");
  EXPECT_THAT(dismissed(race), IsEmpty()) << "it saves first";
  join(race, "b2", {1});
  EXPECT_THAT(dismissed(race), ElementsAre("b2")) << "too late";
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
  race.finish(5, Outcome::interrupted, "", "t2/part");
  EXPECT_THAT(dismissed(race), ElementsAre("a2"));
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
  race.report(4, 0.3);
  EXPECT_EQ(race.record(0).crew, "ab");
  race.join("guest");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1)) << "its trial goes on where there is room";
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t2/part");
}

TEST(StudySplit, ASmallCrewThatReconnectsWhenASplitHasFailedIsToldAgainToSave) {
  Race race(kThreeTrials, elastic());
  fail_split(race);
  join(race, "a2", {0}, {5});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<SuspendAttempt>()[0].crew, "a2");
  race.finish(5, Outcome::interrupted, "", "t2/part");
  EXPECT_THAT(dismissed(race), ElementsAre("a2"));
}

}  // namespace
}  // namespace regatta

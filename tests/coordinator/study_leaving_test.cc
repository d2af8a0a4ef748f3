// Crews that are to leave their slots: how long they may take to save and to end, and who waits for that.
#include <gmock/gmock.h>

#include "elastic_kit.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(StudyLeaving, WhatARetiredCrewStillSaysChangesNothing) {
  Race race(kOneLongTrial, elastic());
  hand_over(race);
  const auto events = race.events().size();
  race.tell(LaneFree{.crew = "a"});
  race.tell(LaneFree{.crew = "b"});
  EXPECT_THAT(race.commands(), IsEmpty());
  join(race, "a", {0});
  EXPECT_THAT(dismissed(race), ElementsAre("a"));
  race.lose("a");
  race.lose("b");
  EXPECT_EQ(race.events().size(), events);
}

TEST(StudyLeaving, WhereTwoDoNotFitOnACardTheLargerCrewTrainsOnceTheOldOnesProcessesAreGone) {
  Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
  reach_handover(race);
  race.lose("b", true);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  EXPECT_THAT(dismissed(race), ElementsAre("a"));
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
  race.join("guest");
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty()) << "the trial is kept for the larger crew";
  EXPECT_FALSE(race.study().ended());
  race.lose("a");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "ab");
}

// A process that cannot end, say in the kernel, is not waited for for ever.
TEST(StudyLeaving, ProcessesThatDoNotEndAreWaitedForNoLongerThanHalfAMinute) {
  Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
  reach_handover(race);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.wait(seconds(28));
  race.tell(CrewHeard{.crew = "ab"});
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
  race.wait(seconds(1));
  race.tell(CrewHeard{.crew = "ab"});
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "ab");
  race.tell(LaneFree{.crew = "a"});
  EXPECT_THAT(race.commands(), IsEmpty()) << "it is still on its way out";
}

TEST(StudyLeaving, ALargerCrewThatDiesWhileTheOldOnesProcessesEndLeavesTheTrialToWhoeverIsIdle) {
  Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
  reach_handover(race);
  race.lose("b", true);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.join("guest");
  ASSERT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
  race.lose("ab");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "guest");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/part");
}

TEST(StudyLeaving, WhereTwoDoNotFitOnACardSmallCrewsTrainOnceTheLargeOnesProcessesAreGone) {
  for (const bool ends : {true, false}) {
    Race race(kThreeTrials, elastic({.waits_for_exit = [] { return true; }}));
    order_split(race);
    join(race, "a2", {0});
    EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
    join(race, "b2", {1});
    EXPECT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
    race.finish(4, Outcome::interrupted, "", "t0/later");
    EXPECT_THAT(dismissed(race), ElementsAre("ab"));
    EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
    if (ends) {
      race.lose("ab", true);
    } else {
      race.wait(seconds(30));
      race.tell(CrewHeard{.crew = "a2"});
    }
    EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(2));
    EXPECT_EQ(race.record(0).checkpoint, "t0/later");
  }
}

TEST(StudyLeaving, ACrewThatDoesNotSaveLosesItsAttemptAndTheLargerOneGoesOnFromTheLastCheckpoint) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.wait(seconds(118));
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_THAT(race.commands(), IsEmpty()) << "it may be writing";
  race.wait(seconds(2));
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_THAT(dismissed(race), ElementsAre("a"));
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "ab");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/e1");
  EXPECT_EQ(race.record(0).attempts_lost, 0) << "only the study wanted it elsewhere";
  const auto events = race.events().size();
  race.finish(1, Outcome::interrupted, "", "t0/part");
  EXPECT_EQ(race.events().size(), events) << "too late";
}

TEST(StudyLeaving, ALargeCrewThatDoesNotSaveForASplitLosesItsAttempt) {
  Race race(kThreeTrials, elastic());
  order_split(race);
  join(race, "a2", {0});
  join(race, "b2", {1});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  race.wait(seconds(120));
  race.tell(CrewHeard{.crew = "ab"});
  EXPECT_THAT(dismissed(race), ElementsAre("ab"));
  EXPECT_EQ(race.record(0).attempts_lost, 0);
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "b2");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].trial, 0);
}

TEST(StudyLeaving, ACrewThatDoesNotSaveLosesItsAttemptThoughTheLargerCrewHasDied) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.lose("ab");
  race.wait(seconds(120));
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  EXPECT_THAT(dismissed(race), ElementsAre("a")) << "it must not keep its slot";
  race.tell(LaneFree{.crew = "a"});
  EXPECT_THAT(race.commands(), IsEmpty());
  race.lose("a");
  join(race, "a2", {0});
  EXPECT_EQ(race.record(0).crew, "a2");
}

TEST(StudyLeaving, ACrewThatReconnectsHasTheWholeTimeToSaveAgain) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.wait(seconds(100));
  join(race, "a", {0}, {1});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  race.wait(seconds(100));
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_EQ(race.record(0).crew, "a");
  race.wait(seconds(20));
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_EQ(race.record(0).crew, "ab");
}

// It looks at orders between training steps only: not while it validates and writes a checkpoint.
TEST(StudyLeaving, ACrewOfLongEpochsHasTwoOfThemToSave) {
  Race race(kOneLongTrial, elastic());
  join(race, "a", {0});
  join(race, "b", {1});
  race.tell(ReportReceived{.crew = "a",
                           .attempt = 1,
                           .epoch = 1,
                           .metrics = {{"loss", 0.5}},
                           .checkpoint = "t0/e1",
                           .seconds = 7200});
  join(race, "ab", {0, 1});
  race.tell(LaneFree{.crew = "ab"});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  race.wait(seconds(14399));
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_EQ(race.record(0).crew, "a");
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_EQ(race.record(0).crew, "ab");
  EXPECT_EQ(race.record(0).attempts_lost, 0);
}

TEST(StudyLeaving, WhileTheCoordinatorStandsStillNoTimeToSavePasses) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.wait(std::chrono::hours(8));
  race.tell(Woke{});
  race.finish(1, Outcome::interrupted, "", "t0/part");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/part");
}

TEST(StudyLeaving, WhileTheCoordinatorStandsStillNoTimeToJoinPasses) {
  Race race(kOneLongTrial, elastic());
  order_growth(race);
  race.wait(std::chrono::hours(8));
  race.tell(Woke{});
  EXPECT_THAT(race.commands(), IsEmpty());
  join(race, "ab", {0, 1});
  EXPECT_THAT(dismissed(race), IsEmpty());
  Race split(kThreeTrials, elastic());
  order_split(split);
  split.wait(std::chrono::hours(8));
  split.tell(Woke{});
  EXPECT_THAT(split.commands(), IsEmpty());
}

TEST(StudyLeaving, WhileTheCoordinatorStandsStillNoTimeForProcessesToEndPasses) {
  Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
  reach_handover(race);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.wait(std::chrono::hours(8));
  race.tell(Woke{});
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
}

TEST(StudyLeaving, OnCardsSmallCrewsThatFollowALargerOneThatWasGivenUpWaitForItsProcessesToEnd) {
  for (const bool ends : {true, false}) {
    Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
    order_growth(race);
    race.lose("b", true);
    join(race, "ab", {0, 1});
    race.wait(seconds(61));
    race.tell(CrewHeard{.crew = "ab"});  // it has no data still
    ASSERT_THAT(dismissed(race), ElementsAre("ab"));
    join(race, "b2", {1});
    race.lose("a");
    EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty()) << "the larger crew may still have its card";
    if (ends) {
      race.lose("ab", true);
    } else {
      race.wait(seconds(30));
      race.tell(CrewHeard{.crew = "b2"});
    }
    ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
    EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "b2");
  }
}

TEST(StudyLeaving, OnCardsALargerCrewWaitsForTheIdleOnesThatItReplacesToo) {
  Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
  reach_handover(race);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.lose("a", true);
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty()) << "\"b\" was dismissed, and has not ended";
  race.lose("b", true);
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
}

}  // namespace
}  // namespace regatta

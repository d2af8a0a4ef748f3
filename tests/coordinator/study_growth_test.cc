// Idle crews join others: when, and what happens when somebody dies on the way.
#include <gmock/gmock.h>

#include "elastic_kit.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(StudyGrowth, ALargerCrewTakesOverFromTheOneThatTrainsOnceItHasItsData) {
  Race race(kOneLongTrial, elastic());
  hand_over(race);
  const StartAttempt start = race.commands_of<StartAttempt>()[0];
  EXPECT_EQ(start.crew, "ab");
  EXPECT_EQ(start.trial, 0);
  EXPECT_EQ(start.checkpoint, "t0/part");
  EXPECT_EQ(race.record(0).attempts_lost, 0);
  race.report(2, 0.4);
  EXPECT_THAT(race.record(0).reports, SizeIs(2));
  EXPECT_EQ(race.record(0).crew, "ab");
}

TEST(StudyGrowth, WithoutTheOptionCrewsStayAsTheyAre) {
  Race race(kOneLongTrial);
  join(race, "a", {0});
  join(race, "b", {1});
  race.report(1, 0.5);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty());
  EXPECT_THAT(dismissed(race), IsEmpty());
}

TEST(StudyGrowth, CrewsThatCameByThemselvesAndCrewsOfSeveralLanesStayAsTheyAre) {
  Race guests(kOneLongTrial, elastic());
  guests.join("a");
  guests.join("b");
  guests.report(1, 0.5);
  EXPECT_THAT(guests.commands_of<ReshapeCrews>(), IsEmpty());
  Race lanes(kOneLongTrial, elastic());
  lanes.tell(CrewJoined{.crew = "a", .lanes = 2, .attempts = {}, .slots = {0}});
  lanes.tell(CrewJoined{.crew = "b", .lanes = 2, .attempts = {}, .slots = {1}});
  lanes.report(1, 0.5);
  EXPECT_THAT(lanes.commands_of<ReshapeCrews>(), IsEmpty());
}

TEST(StudyGrowth, APointThatSoManySlotsCannotTrainKeepsItsCrew) {
  Race race(kOneLongTrial, elastic({.fits = [](const Point&, int slots) { return slots < 2; }}));
  join(race, "a", {0});
  join(race, "b", {1});
  race.report(1, 0.5);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty());
}

TEST(StudyGrowth, WhatIsSoonOverIsLeftAlone) {
  Race race("scheduler: {type: fifo, max_epochs: 8}, stop: {trials: 1}", elastic());
  join(race, "a", {0});
  join(race, "b", {1});
  race.report(1, 0.5);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty());
}

TEST(StudyGrowth, AnAttemptThatIsNearlyOverIsNotSuspendedAnyMoreAndTheNextBeginsOnTheLargerCrew) {
  Race race("scheduler: {type: fifo, max_epochs: 20}, stop: {trials: 1}", elastic());
  order_growth(race);
  for (int epoch = 2; epoch <= 18; ++epoch) {
    race.report(1, 0.5);
  }
  join(race, "ab", {0, 1});
  race.tell(LaneFree{.crew = "ab"});
  EXPECT_THAT(race.commands_of<SuspendAttempt>(), IsEmpty());
  race.report(1, 0.5);
  race.report(1, 0.5);
  EXPECT_EQ(race.trial(0).state, TrialState::complete);
  EXPECT_TRUE(race.study().ended());
}

TEST(StudyGrowth, ALargerCrewThatDiesBeforeItHasJoinedCostsNothing) {
  Race race("scheduler: {type: fifo, max_epochs: 12}, stop: {trials: 1}", elastic());
  order_growth(race);
  join(race, "b2", {1});  // the launcher has given the slots back
  EXPECT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0}, Slots{1})));
  EXPECT_THAT(dismissed(race), IsEmpty());
  race.report(1, 0.4);
  EXPECT_EQ(race.record(0).crew, "a");
  EXPECT_EQ(race.trial(0).state, TrialState::running);
}

TEST(StudyGrowth, ALargerCrewThatDiesBeforeItTakesOverCostsNothing) {
  Race race(kOneLongTrial, elastic());
  order_growth(race);
  join(race, "ab", {0, 1});
  race.lose("ab");
  EXPECT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0}, Slots{1})));
  race.report(1, 0.4);
  EXPECT_EQ(race.record(0).attempts_lost, 0);
  EXPECT_THAT(race.record(0).reports, SizeIs(2));
}

TEST(StudyGrowth, ALargerCrewThatDoesNotComeIsGivenUpAndOrderedLessReadilyAfterwards) {
  Race race("scheduler: {type: fifo, max_epochs: 12}, stop: {trials: 1}", elastic());
  order_growth(race);
  race.wait(seconds(61));
  race.tell(CrewHeard{.crew = "a"});
  EXPECT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0}, Slots{1})));
  join(race, "b2", {1});
  race.report(1, 0.4);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty()) << "it is taken to cost twice as much";
  join(race, "ab", {0, 1});
  EXPECT_THAT(dismissed(race), ElementsAre("ab")) << "too late: others have its slots";
}

TEST(StudyGrowth, WhenTheCrewThatTrainsDiesItsTrialWaitsForTheLargerOne) {
  Race race(kOneLongTrial, elastic());
  order_growth(race);
  race.lose("a");
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  join(race, "ab", {0, 1});
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "ab");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/e1");
}

TEST(StudyGrowth, ACrewThatDiesWhileItSuspendsLosesTheEpochButNotItsPlaceInTheLargerCrew) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.lose("a");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "ab");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/e1");
  EXPECT_EQ(race.record(0).attempts_lost, 1);
}

TEST(StudyGrowth, ALargerCrewThatDiesWhileTheOldOneSuspendsGivesTheTrialToWhoeverComes) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.lose("ab");
  race.finish(1, Outcome::interrupted, "", "t0/part");
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  race.tell(LaneFree{.crew = "a"});
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "a");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/part");
}

TEST(StudyGrowth, ReportsThatComeWhileTheAttemptSuspendsCountAndMayEndIt) {
  Race race("scheduler: {type: fifo, max_epochs: 20}, stop: {trials: 1}", elastic());
  reach_handover(race);
  for (int epoch = 2; epoch <= 20; ++epoch) {
    race.report(1, 0.4);
  }
  EXPECT_EQ(race.trial(0).state, TrialState::complete);
  EXPECT_THAT(race.record(0).reports, SizeIs(20));
  EXPECT_TRUE(race.study().ended());
  race.finish(1, Outcome::interrupted, "", "t0/part");
  EXPECT_EQ(race.trial(0).state, TrialState::complete);
}

TEST(StudyGrowth, ALargerCrewThatComesWhenOthersHaveItsSlotsIsDismissedOnce) {
  Race race("scheduler: {type: fifo, max_epochs: 12}, stop: {trials: 1}", elastic());
  order_growth(race);
  join(race, "b2", {1});  // so it is given up, but on its way
  join(race, "ab", {0, 1});
  EXPECT_THAT(dismissed(race), ElementsAre("ab"));
  race.lose("ab", true);
  race.report(1, 0.4);
  EXPECT_EQ(race.record(0).crew, "a");
}

TEST(StudyGrowth, AfterACrashAnIdleCrewOnSlotsThatOthersUseIsDismissed) {
  for (const bool larger_first : {true, false}) {
    Race race(kOneLongTrial, elastic());
    order_growth(race);
    join(race, "ab", {0, 1});
    race.crash();
    if (larger_first) {
      join(race, "ab", {0, 1});
      join(race, "a", {0}, {1});
    } else {
      join(race, "a", {0}, {1});
      join(race, "ab", {0, 1});
    }
    EXPECT_THAT(dismissed(race), ElementsAre("ab"));
    race.lose("ab", true);
    race.report(1, 0.4);
    EXPECT_EQ(race.record(0).crew, "a");
  }
}

TEST(StudyGrowth, AStopRequestWhileCrewsChangeSavesTheTrial) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.tell(StopRequested{});
  race.finish(1, Outcome::interrupted, "", "t0/part");
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, StudyEnded::Reason::interrupted);
  EXPECT_EQ(race.record(0).checkpoint, "t0/part");
  race.crash();
  join(race, "a2", {0});
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).checkpoint, "t0/part");
}

TEST(StudyGrowth, AMeasuredLossOfEfficiencyEndsTheGrowth) {
  Race race(kOneLongTrial, elastic());
  hand_over(race);
  race.report(2, 0.4);  // of an epoch that the old crew had begun
  race.report(2, 0.3);  // a second once more: two slots are no faster than one
  race.lose("ab");
  join(race, "a2", {0});
  join(race, "b2", {1});
  race.report(3, 0.2);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty());
}

}  // namespace
}  // namespace regatta

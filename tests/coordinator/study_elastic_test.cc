// Idle crews join others: when, and what happens when somebody dies on the way.
#include <gmock/gmock.h>

#include "study_kit.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using Slots = std::vector<int>;

// A report of a Race tells that its epoch took a second.
constexpr const char* kOneLongTrial = "scheduler: {type: fifo, max_epochs: 100}, stop: {trials: 1}";

StudyOptions elastic(ElasticOptions options = {}) { return {.evaluate_best = false, .elastic = options}; }

void join(Race& race, const std::string& crew, const Slots& slots, std::vector<AttemptId> attempts = {}) {
  race.tell(CrewJoined{.crew = crew, .attempts = std::move(attempts), .slots = slots});
}

std::vector<std::string> dismissed(const Race& race) {
  std::vector<std::string> crews;
  for (const auto& command : race.commands_of<DismissCrew>()) {
    crews.push_back(command.crew);
  }
  return crews;
}

std::vector<std::vector<Slots>> reshaped(const Race& race) {
  std::vector<std::vector<Slots>> crews;
  for (const auto& command : race.commands_of<ReshapeCrews>()) {
    crews.push_back(command.crews);
  }
  return crews;
}

// Crew "a" trains the only trial and "b" has nothing to do; a larger crew is ordered.
void order_growth(Race& race) {
  join(race, "a", {0});
  join(race, "b", {1});
  ASSERT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty()) << "no epoch has been measured";
  race.report(1, 0.5);
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0, 1})));
  ASSERT_THAT(dismissed(race), ElementsAre("b"));
}

// The larger crew has its data, and "a" was told to suspend.
void reach_handover(Race& race) {
  order_growth(race);
  join(race, "ab", {0, 1});
  ASSERT_THAT(race.commands(), IsEmpty()) << "it has no data yet";
  race.tell(LaneFree{.crew = "ab"});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  ASSERT_EQ(race.commands_of<SuspendAttempt>()[0].crew, "a");
}

void hand_over(Race& race) {
  reach_handover(race);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  ASSERT_THAT(dismissed(race), ElementsAre("a"));
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
}

TEST(StudyElastic, ALargerCrewTakesOverFromTheOneThatTrainsOnceItHasItsData) {
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

TEST(StudyElastic, WithoutTheOptionCrewsStayAsTheyAre) {
  Race race(kOneLongTrial);
  join(race, "a", {0});
  join(race, "b", {1});
  race.report(1, 0.5);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty());
  EXPECT_THAT(dismissed(race), IsEmpty());
}

TEST(StudyElastic, CrewsThatCameByThemselvesAndCrewsOfSeveralLanesStayAsTheyAre) {
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

TEST(StudyElastic, APointThatSoManySlotsCannotTrainKeepsItsCrew) {
  Race race(kOneLongTrial, elastic({.fits = [](const Point&, int slots) { return slots < 2; }}));
  join(race, "a", {0});
  join(race, "b", {1});
  race.report(1, 0.5);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty());
}

TEST(StudyElastic, WhatIsSoonOverIsLeftAlone) {
  Race race("scheduler: {type: fifo, max_epochs: 8}, stop: {trials: 1}", elastic());
  join(race, "a", {0});
  join(race, "b", {1});
  race.report(1, 0.5);
  EXPECT_THAT(race.commands_of<ReshapeCrews>(), IsEmpty());
}

TEST(StudyElastic, AnAttemptThatIsNearlyOverIsNotSuspendedAnyMoreAndTheNextBeginsOnTheLargerCrew) {
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

TEST(StudyElastic, ALargerCrewThatDiesBeforeItHasJoinedCostsNothing) {
  Race race("scheduler: {type: fifo, max_epochs: 12}, stop: {trials: 1}", elastic());
  order_growth(race);
  join(race, "b2", {1});  // the launcher has given the slots back
  EXPECT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0}, Slots{1})));
  EXPECT_THAT(dismissed(race), IsEmpty());
  race.report(1, 0.4);
  EXPECT_EQ(race.record(0).crew, "a");
  EXPECT_EQ(race.trial(0).state, TrialState::running);
}

TEST(StudyElastic, ALargerCrewThatDiesBeforeItTakesOverCostsNothing) {
  Race race(kOneLongTrial, elastic());
  order_growth(race);
  join(race, "ab", {0, 1});
  race.lose("ab");
  EXPECT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0}, Slots{1})));
  race.report(1, 0.4);
  EXPECT_EQ(race.record(0).attempts_lost, 0);
  EXPECT_THAT(race.record(0).reports, SizeIs(2));
}

TEST(StudyElastic, ALargerCrewThatDoesNotComeIsGivenUpAndOrderedLessReadilyAfterwards) {
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

TEST(StudyElastic, WhenTheCrewThatTrainsDiesItsTrialWaitsForTheLargerOne) {
  Race race(kOneLongTrial, elastic());
  order_growth(race);
  race.lose("a");
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  join(race, "ab", {0, 1});
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "ab");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/e1");
}

TEST(StudyElastic, ACrewThatDiesWhileItSuspendsLosesTheEpochButNotItsPlaceInTheLargerCrew) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.lose("a");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "ab");
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/e1");
  EXPECT_EQ(race.record(0).attempts_lost, 1);
}

TEST(StudyElastic, ALargerCrewThatDiesWhileTheOldOneSuspendsGivesTheTrialToWhoeverComes) {
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

TEST(StudyElastic, ReportsThatComeWhileTheAttemptSuspendsCountAndMayEndIt) {
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

TEST(StudyElastic, WhatARetiredCrewStillSaysChangesNothing) {
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

TEST(StudyElastic, WhereTwoDoNotFitOnACardTheLargerCrewTrainsOnceTheOldOnesProcessesAreGone) {
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
TEST(StudyElastic, ProcessesThatDoNotEndAreWaitedForNoLongerThanHalfAMinute) {
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

TEST(StudyElastic, ALargerCrewThatDiesWhileTheOldOnesProcessesEndLeavesTheTrialToWhoeverIsIdle) {
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

TEST(StudyElastic, ALargerCrewThatComesWhenOthersHaveItsSlotsIsDismissedOnce) {
  Race race("scheduler: {type: fifo, max_epochs: 12}, stop: {trials: 1}", elastic());
  order_growth(race);
  join(race, "b2", {1});  // so it is given up, but on its way
  join(race, "ab", {0, 1});
  EXPECT_THAT(dismissed(race), ElementsAre("ab"));
  race.lose("ab", true);
  race.report(1, 0.4);
  EXPECT_EQ(race.record(0).crew, "a");
}

// A guest trains beside the larger crew "ab", and its trial, the third, is to be trained elsewhere.
void order_split(Race& race) {
  join(race, "a", {0});
  join(race, "b", {1});
  race.join("guest");
  race.report(1, 0.5);
  race.finish(2, Outcome::failed, "its program fails");
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0, 1})));
  race.lose("b", true);
  join(race, "ab", {0, 1});
  race.tell(LaneFree{.crew = "ab"});
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.lose("a", true);
  ASSERT_EQ(race.record(0).crew, "ab");
  race.lose("guest");
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0}, Slots{1})));
}

constexpr const char* kThreeTrials = "scheduler: {type: fifo, max_epochs: 100}, stop: {trials: 3}";

TEST(StudyElastic, ALargeCrewMakesRoomForATrialThatWouldWaitLong) {
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

TEST(StudyElastic, WhereTwoDoNotFitOnACardSmallCrewsTrainOnceTheLargeOnesProcessesAreGone) {
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

TEST(StudyElastic, ACrewThatCameByItselfTrainsAtOnceWhileALargeOneIsSplitOnCards) {
  Race race(kThreeTrials, elastic({.waits_for_exit = [] { return true; }}));
  order_split(race);
  race.join("another guest");
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
}

TEST(StudyElastic, SmallCrewsOfASplitThatFailsAreDismissedAndTheLargeOneKeepsItsSlots) {
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

// A small crew of a split that fails trains attempt 5; the large one goes on with attempt 4.
void fail_split(Race& race) {
  order_split(race);
  join(race, "a2", {0});
  ASSERT_EQ(race.record(2).crew, "a2");
  race.wait(seconds(61));
  race.tell(CrewHeard{.crew = "ab"});
  ASSERT_THAT(reshaped(race), ElementsAre(ElementsAre(Slots{0, 1})));
}

TEST(StudyElastic, ASmallCrewThatTrainsWhenASplitFailsSavesAndLeavesTheSlotsToTheLargeOne) {
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

TEST(StudyElastic, ASmallCrewThatReconnectsWhenASplitHasFailedIsToldAgainToSave) {
  Race race(kThreeTrials, elastic());
  fail_split(race);
  join(race, "a2", {0}, {5});
  ASSERT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<SuspendAttempt>()[0].crew, "a2");
  race.finish(5, Outcome::interrupted, "", "t2/part");
  EXPECT_THAT(dismissed(race), ElementsAre("a2"));
}

TEST(StudyElastic, ACrewThatDoesNotSaveLosesItsAttemptAndTheLargerOneGoesOnFromTheLastCheckpoint) {
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

TEST(StudyElastic, ALargeCrewThatDoesNotSaveForASplitLosesItsAttempt) {
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

TEST(StudyElastic, ACrewThatDoesNotSaveLosesItsAttemptThoughTheLargerCrewHasDied) {
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

TEST(StudyElastic, ACrewThatReconnectsHasTheWholeTimeToSaveAgain) {
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
TEST(StudyElastic, ACrewOfLongEpochsHasTwoOfThemToSave) {
  Race race(kOneLongTrial, elastic());
  join(race, "a", {0});
  join(race, "b", {1});
  race.tell(ReportReceived{
      .crew = "a", .attempt = 1, .epoch = 1, .metrics = {{"loss", 0.5}}, .checkpoint = "t0/e1", .seconds = 7200});
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

TEST(StudyElastic, WhileTheCoordinatorStandsStillNoTimeToSavePasses) {
  Race race(kOneLongTrial, elastic());
  reach_handover(race);
  race.wait(std::chrono::hours(8));
  race.tell(Woke{});
  race.finish(1, Outcome::interrupted, "", "t0/part");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/part");
}

TEST(StudyElastic, WhileTheCoordinatorStandsStillNoTimeToJoinPasses) {
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

TEST(StudyElastic, WhileTheCoordinatorStandsStillNoTimeForProcessesToEndPasses) {
  Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
  reach_handover(race);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.wait(std::chrono::hours(8));
  race.tell(Woke{});
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
}

TEST(StudyElastic, OnCardsSmallCrewsThatFollowALargerOneThatWasGivenUpWaitForItsProcessesToEnd) {
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

TEST(StudyElastic, OnCardsALargerCrewWaitsForTheIdleOnesThatItReplacesToo) {
  Race race(kOneLongTrial, elastic({.waits_for_exit = [] { return true; }}));
  reach_handover(race);
  race.finish(1, Outcome::interrupted, "", "t0/part");
  race.lose("a", true);
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty()) << "\"b\" was dismissed, and has not ended";
  race.lose("b", true);
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
}

TEST(StudyElastic, AfterACrashAnIdleCrewOnSlotsThatOthersUseIsDismissed) {
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

TEST(StudyElastic, AStopRequestWhileCrewsChangeSavesTheTrial) {
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

TEST(StudyElastic, AMeasuredLossOfEfficiencyEndsTheGrowth) {
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

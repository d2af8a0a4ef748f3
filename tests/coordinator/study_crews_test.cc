// Crews that die, fall silent, are taken away or outlive the coordinator.
#include <gmock/gmock.h>

#include "study_kit.h"

namespace regatta {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kThreeEpochs = "scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 8}";

TEST(StudyCrews, ATrialThatIsLostTooOftenFails) {
  Race race(kThreeEpochs, {.max_attempts = 2, .evaluate_best = false});
  race.join("a");
  race.lose("a");
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  EXPECT_EQ(race.record(0).attempts_lost, 1);
  race.join("b");
  race.lose("b");
  EXPECT_EQ(race.trial(0).state, TrialState::failed);
  EXPECT_THAT(race.record(0).message, HasSubstr("lost 2 times"));
  EXPECT_THAT(race.record(0).message, HasSubstr("signal 9"));
}

TEST(StudyCrews, PreemptionAndInterruptionDoNotCount) {
  Race race(kThreeEpochs, {.max_attempts = 1, .evaluate_best = false});
  for (int i = 0; i < 5; ++i) {
    const std::string crew = "crew" + std::to_string(i);
    race.join(crew);
    race.lose(crew, true);
    EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  }
  race.join("a");
  race.finish(6, Outcome::interrupted, "terminated", "t0/step7");
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  EXPECT_EQ(race.record(0).checkpoint, "t0/step7");
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty()) << "the crew is being taken away";
  race.join("b");
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).checkpoint, "t0/step7");
}

TEST(StudyCrews, ASilentCrewsAttemptIsLostAfterItsLease) {
  Race race(kThreeEpochs);
  race.join("a");
  race.wait(seconds(20));
  race.tell(CrewHeard{.crew = "a"});
  race.wait(seconds(20));
  race.tell(Tick{});
  EXPECT_EQ(race.trial(0).state, TrialState::running) << "any sign of life renews the lease";
  race.wait(seconds(20));
  race.tell(Tick{});
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  EXPECT_EQ(race.record(0).attempts_lost, 1);
  EXPECT_THAT(race.record(0).message, HasSubstr("30 s"));
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty()) << "a silent crew gets no work";
}

TEST(StudyCrews, ACrewThatIsHeardAgainEndsWhatWasGivenAwayAndGetsNewWork) {
  Race race(kThreeEpochs);
  race.join("a");
  race.wait(seconds(40));
  race.tell(Tick{});
  race.join("b");
  ASSERT_EQ(race.commands_of<StartAttempt>().at(0).trial, 0);
  race.tell(CrewHeard{.crew = "a"});
  ASSERT_THAT(race.commands_of<EndAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<EndAttempt>()[0].attempt, 1);
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, 1);
}

TEST(StudyCrews, ACoordinatorThatWasStoppedGivesAllCrewsAFreshLease) {
  Race race(kThreeEpochs);
  race.join("a");
  race.crash();
  race.join("b");
  race.wait(std::chrono::hours(8));
  race.tell(Woke{});
  race.wait(seconds(20));
  race.tell(Tick{});
  EXPECT_EQ(race.trial(0).state, TrialState::running) << "nobody has confirmed it yet";
  EXPECT_EQ(race.trial(1).state, TrialState::running);
  race.wait(seconds(20));
  race.tell(Tick{});
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  EXPECT_EQ(race.trial(1).state, TrialState::waiting) << "the lease is a fresh one, not an endless one";
}

TEST(StudyCrews, ACrewThatWasSilentBeforeTheCoordinatorStoppedStaysSilent) {
  Race race(kThreeEpochs);
  race.join("a");
  race.wait(seconds(40));
  race.tell(Tick{});
  race.tell(Woke{});
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
}

TEST(StudyCrews, ACrewThatOutlivedTheCoordinatorGoesOn) {
  Race race(kThreeEpochs);
  race.join("a");
  race.report(1, 0.5);
  race.crash();
  race.join("a", 1, {1});
  EXPECT_THAT(race.commands(), IsEmpty());
  race.wait(seconds(25));
  race.tell(CrewHeard{.crew = "a"});
  race.wait(seconds(10));
  race.tell(Tick{});
  race.report(1, 0.4);
  EXPECT_EQ(race.commands_of<AnswerReport>().at(0).action, AnswerReport::Action::go_on);
  EXPECT_THAT(race.record(0).reports, SizeIs(2));
}

TEST(StudyCrews, AReportBeforeTheGreetingIsTakenToo) {
  Race race(kThreeEpochs);
  race.join("a");
  race.crash();
  race.report(1, 0.5);
  EXPECT_EQ(race.commands_of<AnswerReport>().at(0).action, AnswerReport::Action::go_on);
  race.join("a", 1, {1});
  EXPECT_THAT(race.commands(), IsEmpty());
}

TEST(StudyCrews, ACrewThatDidNotComeBackAfterACrashCountsAsPreempted) {
  Race race(kThreeEpochs, {.max_attempts = 1, .evaluate_best = false});
  race.join("a");
  race.report(1, 0.5);
  race.crash();
  race.join("b");
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, 1) << "the old crew may still come";
  race.wait(seconds(31));
  race.tell(CrewHeard{.crew = "b"});
  race.tell(Tick{});
  EXPECT_EQ(race.events_of<AttemptEnded>().back().outcome, Outcome::preempted);
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  race.join("a", 1, {1});
  EXPECT_THAT(race.commands_of<EndAttempt>(), SizeIs(1)) << "too late";
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, 0);
}

TEST(StudyCrews, AnOrderThatACrashSwallowedIsGivenAgainWhenItsCrewIsBack) {
  Race race(kThreeEpochs, {.max_attempts = 1, .evaluate_best = false});
  race.join("a");
  race.crash();
  race.join("a");  // it never heard of attempt 1
  EXPECT_EQ(race.events_of<AttemptEnded>().back().attempt, 1);
  EXPECT_EQ(race.events_of<AttemptEnded>().back().outcome, Outcome::preempted);
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, 0);
}

TEST(StudyCrews, AnOrderThatABrokenConnectionSwallowedIsGivenAgainWhenItsCrewIsBack) {
  Race race(kThreeEpochs, {.max_attempts = 1, .evaluate_best = false});
  race.join("a", 2);
  race.join("a", 2, {1});  // attempt 2 was on its way
  EXPECT_EQ(race.events_of<AttemptEnded>().back().attempt, 2);
  EXPECT_EQ(race.events_of<AttemptEnded>().back().outcome, Outcome::preempted);
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, 1);
}

TEST(StudyCrews, UnknownAttemptsOfACrewAreEnded) {
  Race race(kThreeEpochs);
  race.join("a", 1, {17});
  ASSERT_THAT(race.commands_of<EndAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<EndAttempt>()[0].attempt, 17);
}

TEST(StudyCrews, TheLauncherCanTellOfACrewThatDiedWithTheCoordinator) {
  Race race(kThreeEpochs);
  race.join("a");
  race.crash();
  race.lose("a");
  EXPECT_EQ(race.trial(0).state, TrialState::waiting);
  EXPECT_EQ(race.record(0).attempts_lost, 1);
}

TEST(StudyCrews, WorkIsSpreadOverCrewsBeforeTheirSecondLanes) {
  Race race("scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 3}");
  race.join("a", 2);
  race.join("b", 2);
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).crew, "b");
  race.tell(LaneFree{.crew = "a", .lanes = 3});
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty()) << "the limit is reached";
  EXPECT_EQ(race.study().trials().size(), 3u);
}

TEST(StudyCrews, ALaneThatACrewAddsIsUsed) {
  Race race(kThreeEpochs);
  race.join("a", 1);
  race.tell(LaneFree{.crew = "a", .lanes = 3});
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(2));
}

TEST(StudyCrews, IdleCrewsAreServedWhenSomethingChanges) {
  Race race("scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 2}");
  race.join("a");
  race.join("b");
  race.join("c");
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
  race.lose("a");
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].crew, "c");
}

}  // namespace
}  // namespace regatta

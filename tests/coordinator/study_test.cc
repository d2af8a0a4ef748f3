// Which work crews get, and what becomes of their reports.
#include "coordinator/study.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "study_kit.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kThreeEpochs = "scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 4}";
constexpr const char* kHyperband = "scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 100}";

TEST(Study, ACrewGetsOneTrialForEachFreeLane) {
  Race race(kThreeEpochs);
  race.join("a", 2);
  const auto starts = race.commands_of<StartAttempt>();
  ASSERT_THAT(starts, SizeIs(2));
  EXPECT_EQ(starts[0].trial, 0);
  EXPECT_EQ(starts[0].attempt, 1);
  EXPECT_EQ(starts[0].until_epoch, 3);
  EXPECT_EQ(starts[0].checkpoint, "");
  EXPECT_EQ(starts[1].trial, 1);
  EXPECT_NE(starts[0].point, starts[1].point);
  EXPECT_TRUE(race.study().experiment().space.contains(starts[0].point));
}

TEST(Study, AReportIsStoredAndAnsweredAndTheLastOneFreesTheLane) {
  Race race(kThreeEpochs);
  race.join("a");
  race.report(1, 0.5);
  ASSERT_THAT(race.commands_of<AnswerReport>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<AnswerReport>()[0].action, AnswerReport::Action::go_on);
  EXPECT_EQ(race.commands_of<AnswerReport>()[0].until_epoch, 3);
  race.report(1, 0.4);
  race.report(1, 0.45);
  EXPECT_EQ(race.commands_of<AnswerReport>()[0].action, AnswerReport::Action::end);
  EXPECT_EQ(race.trial(0).state, TrialState::complete);
  EXPECT_THAT(race.trial(0).values, ElementsAre(0.4));
  EXPECT_EQ(race.record(0).best_epoch, 2);
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].trial, 1);
}

TEST(Study, MaximisedObjectivesAreNegatedForTheSearch) {
  Race race(kThreeEpochs, {.evaluate_best = false}, "{maximize: accuracy}");
  race.join("a");
  race.report(1, 1, {{"loss", 9}, {"accuracy", 0.75}}, "");
  EXPECT_THAT(race.trial(0).values, ElementsAre(-0.75));
}

TEST(Study, AReportSentTwiceIsStoredOnceAndAnsweredTheSame) {
  Race race(kThreeEpochs);
  race.join("a");
  race.report(1, 1, {{"loss", 0.5}}, "t0/e1");
  const auto first = race.commands_of<AnswerReport>().at(0);
  const std::size_t events = race.events().size();
  race.report(1, 1, {{"loss", 0.5}}, "t0/e1");
  EXPECT_EQ(race.events().size(), events);
  const auto second = race.commands_of<AnswerReport>().at(0);
  EXPECT_EQ(first.action, second.action);
  EXPECT_EQ(first.until_epoch, second.until_epoch);
}

TEST(Study, AStaleAttemptsReportIsRejectedAndItsCrewToldToEndIt) {
  Race race(kThreeEpochs);
  race.join("a");
  race.lose("a");
  race.join("b");
  ASSERT_EQ(race.commands_of<StartAttempt>().at(0).trial, 0);
  const std::size_t events = race.events().size();
  race.report(1, 1, {{"loss", 0.1}}, "");
  EXPECT_EQ(race.events().size(), events);
  ASSERT_THAT(race.commands_of<EndAttempt>(), SizeIs(1));
  EXPECT_EQ(race.commands_of<EndAttempt>()[0].crew, "a");
  EXPECT_EQ(race.commands_of<EndAttempt>()[0].attempt, 1);
}

TEST(Study, AnAttemptOfAnotherCrewCannotBeReportedOn) {
  Race race(kThreeEpochs);
  race.join("a");
  race.join("b");
  race.tell(ReportReceived{.crew = "b", .attempt = 1, .epoch = 1, .metrics = {{"loss", 0}}});
  EXPECT_THAT(race.record(0).reports, IsEmpty());
  EXPECT_THAT(race.commands_of<EndAttempt>(), SizeIs(1));
}

TEST(Study, AReportWithoutTheObjectiveFailsTheTrialAndNamesTheMetricsThatAreThere) {
  Race race(kThreeEpochs);
  race.join("a");
  race.report(1, 1, {{"los", 0.1}, {"accuracy", 0.9}}, "");
  EXPECT_EQ(race.trial(0).state, TrialState::failed);
  EXPECT_THAT(race.record(0).message, HasSubstr("'loss'"));
  EXPECT_THAT(race.record(0).message, HasSubstr("los, accuracy"));
  EXPECT_THAT(race.record(0).message, HasSubstr("did you mean 'los'"));
  EXPECT_EQ(race.commands_of<AnswerReport>().at(0).action, AnswerReport::Action::end);
}

TEST(Study, ADivergedLossEndsTheTrialWithItsReportKept) {
  for (const double loss : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Race race(kThreeEpochs);
    race.join("a");
    race.report(1, 0.5);
    race.report(1, loss);
    EXPECT_EQ(race.trial(0).state, TrialState::failed);
    EXPECT_THAT(race.record(0).message, HasSubstr("loss became"));
    EXPECT_THAT(race.record(0).reports, SizeIs(2));
    EXPECT_THAT(race.trial(0).scores, SizeIs(1));
    EXPECT_EQ(race.events_of<AttemptEnded>().back().outcome, Outcome::diverged);
    EXPECT_THAT(race.deleted(), testing::UnorderedElementsAre("t0/e1", "t0/e2"));
  }
}

TEST(Study, APausedTrialIsResumedFromItsNewestCheckpoint) {
  Race race(kHyperband);
  race.join("a");
  AttemptId attempt = 1;
  for (int trial = 0; trial < 9; ++trial, ++attempt) {  // bracket 0: nine trials for one epoch
    race.report(attempt, trial == 4 ? 0.1 : 0.5 + trial);
  }
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  const StartAttempt resumed = race.commands_of<StartAttempt>()[0];
  EXPECT_EQ(resumed.trial, 4);
  EXPECT_EQ(resumed.checkpoint, "t4/e1");
  EXPECT_EQ(resumed.until_epoch, 3);
  EXPECT_EQ(race.trial(0).state, TrialState::paused);
  EXPECT_EQ(race.trial(8).state, TrialState::stopped) << "the scheduler dropped it";
}

TEST(Study, TrialsThatWaitGoBeforeNewOnesInTheOrderOfTheirNumbers) {
  Race race(kThreeEpochs);
  race.join("a");
  race.join("b");
  race.report(1, 0.5);
  race.lose("b");
  race.lose("a");
  race.join("c", 3);
  const auto starts = race.commands_of<StartAttempt>();
  ASSERT_THAT(starts, SizeIs(3));
  EXPECT_EQ(starts[0].trial, 0);
  EXPECT_EQ(starts[0].checkpoint, "t0/e1");
  EXPECT_EQ(starts[0].until_epoch, 3);
  EXPECT_EQ(starts[1].trial, 1);
  EXPECT_EQ(starts[1].checkpoint, "");
  EXPECT_EQ(starts[2].trial, 2);
}

TEST(Study, ALostTrialsEpochsAreTrainedAgainButStoredOnce) {
  Race race(kThreeEpochs);
  race.join("a");
  race.report(1, 1, {{"loss", 0.5}}, "t0/e1");
  race.report(1, 2, {{"loss", 0.4}}, "");
  race.lose("a");
  race.join("b");
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).checkpoint, "t0/e1");
  race.report(2, 2, {{"loss", 0.4}}, "");
  EXPECT_EQ(race.commands_of<AnswerReport>().at(0).action, AnswerReport::Action::go_on);
  EXPECT_THAT(race.record(0).reports, SizeIs(2));
  race.report(2, 3, {{"loss", 0.3}}, "");
  EXPECT_EQ(race.trial(0).state, TrialState::complete);
}

TEST(Study, AProgramThatEndsByItselfIsComplete) {
  Race race("scheduler: fifo, stop: {trials: 2}");
  race.join("a");
  race.report(1, 0.5);
  race.finish(1, Outcome::complete);
  EXPECT_EQ(race.trial(0).state, TrialState::complete);
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  race.finish(2, Outcome::complete);
  EXPECT_EQ(race.trial(1).state, TrialState::failed) << "it never reported the objective";
  EXPECT_THAT(race.record(1).message, HasSubstr("'loss'"));
}

TEST(Study, OfEqualTrialsTheFirstIsBestAndCompleteOnesComeBeforeStoppedOnes) {
  Race race(kHyperband);
  race.join("a");
  EXPECT_EQ(race.study().best_trial(), std::nullopt);
  for (AttemptId attempt = 1; attempt <= 9; ++attempt) {
    race.report(attempt, 0.5);
  }
  EXPECT_EQ(race.study().best_trial(), 3) << "0, 1 and 2 were promoted; all others are stopped and equal";
  while (race.states()[0] != TrialState::complete) {
    race.report(race.events_of<AttemptStarted>().back().attempt, 0.9);
  }
  race.report(race.events_of<AttemptStarted>().back().attempt, 0.1);
  EXPECT_EQ(race.study().best_trial(), 0) << "the others are at most stopped";
}

TEST(Study, CheckpointsAreDeletedOnceWhenNobodyNeedsThem) {
  Race race(kThreeEpochs);
  race.join("a");
  race.report(1, 0.3);
  race.report(1, 0.5);
  EXPECT_THAT(race.deleted(), IsEmpty()) << "the best and the newest";
  race.report(1, 0.4);
  EXPECT_THAT(race.deleted(), ElementsAre("t0/e2", "t0/e3"))
      << "only the best model of the ended trial stays";
  EXPECT_THAT(race.study().checkpoints(), ElementsAre("t0/e1"));
  for (int epoch = 1; epoch <= 3; ++epoch) {
    race.report(2, 0.1);
  }
  EXPECT_THAT(race.study().checkpoints(), ElementsAre("t1/e1"));
  EXPECT_THAT(race.deleted(), ElementsAre("t0/e2", "t0/e3", "t1/e2", "t0/e1", "t1/e3"));
}

TEST(Study, AsManyModelsAreKeptAsTheUserWants) {
  Race race(kThreeEpochs, {.evaluate_best = false, .kept_models = 2});
  race.join("a");
  for (AttemptId attempt = 1; attempt <= 4; ++attempt) {
    for (int epoch = 1; epoch <= 3; ++epoch) {
      race.report(attempt, static_cast<double>(attempt == 2 ? 9 : attempt) / epoch);
    }
  }
  EXPECT_THAT(race.study().checkpoints(), ElementsAre("t0/e3", "t2/e3"));
}

TEST(Study, AnEpochBelowOneIsTheProgramsFailure) {
  Race race(kThreeEpochs);
  race.join("a");
  race.report(1, 0, {{"loss", 1}}, "");
  EXPECT_EQ(race.trial(0).state, TrialState::failed);
  EXPECT_THAT(race.record(0).message, HasSubstr("epoch 0"));
}

}  // namespace
}  // namespace regatta

// How studies end, and how ended ones go on.
#include <gmock/gmock.h>

#include "study_kit.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Reason = StudyEnded::Reason;

constexpr const char* kTwoTrials = "scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 2}";
constexpr const char* kFourTrials = "scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 4}";

TEST(StudyEnd, TheLimitOfTrialsIsATotal) {
  Race race(kTwoTrials);
  race.join("a");
  race.join("b");
  race.report(1, 0.5);
  EXPECT_FALSE(race.study().ended());
  EXPECT_THAT(race.events_of<SearchClosed>(), SizeIs(0)) << "trial 1 may still turn out invalid";
  race.report(2, 0.4);
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::finished);
  EXPECT_THAT(race.commands_of<DismissCrew>(), SizeIs(2));
  EXPECT_EQ(race.study().best_trial(), 1);
  race.join("c");
  EXPECT_EQ(race.commands_of<DismissCrew>().at(0).crew, "c");
}

TEST(StudyEnd, InvalidTrialsAreReplaced) {
  Race race(kTwoTrials);
  race.join("a");
  race.join("b");
  race.finish(1, Outcome::invalid, "negative size");
  race.report(2, 0.5);
  race.report(3, 0.5);
  EXPECT_THAT(race.states(), ElementsAre(TrialState::invalid, TrialState::complete, TrialState::complete));
  EXPECT_TRUE(race.study().ended());
}

TEST(StudyEnd, AnExhaustedSpaceEndsTheStudy) {
  Race race("sampler: random, scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 3}");
  race.join("a");
  for (AttemptId attempt = 1; attempt <= 3; ++attempt) {
    race.report(attempt, 1.0);
  }
  EXPECT_THAT(race.events_of<SearchClosed>(), SizeIs(1));
  EXPECT_TRUE(race.study().ended());
}

TEST(StudyEnd, ReachingTheTargetEndsEverythingAndThatTrialIsTheBest) {
  Race race("scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 50, target: 0.1}");
  race.join("a");
  race.join("b");
  race.report(1, 0.2);
  race.report(2, 0.09);
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::target_reached);
  EXPECT_EQ(race.study().best_trial(), 1);
  EXPECT_EQ(race.trial(1).state, TrialState::complete);
  EXPECT_EQ(race.trial(0).state, TrialState::stopped) << "it was paused";
  EXPECT_EQ(race.trial(2).state, TrialState::stopped) << "it ran";
  EXPECT_EQ(race.commands_of<EndAttempt>().at(0).attempt, 3);
}

TEST(StudyEnd, ATargetIsInTheUsersDirection) {
  Race race("scheduler: {type: fifo, max_epochs: 9}, stop: {trials: 50, target: 0.9}",
            {.evaluate_best = false}, "{maximize: accuracy}");
  race.join("a");
  race.report(1, 1, {{"accuracy", 0.89}}, "");
  EXPECT_FALSE(race.study().ended());
  race.report(1, 2, {{"accuracy", 0.91}}, "");
  EXPECT_TRUE(race.study().ended());
}

TEST(StudyEnd, TheTimeLimitCountsRunningTimeOverAllSessions) {
  Race race("scheduler: {type: fifo, max_epochs: 9}, stop: {hours: 1}");
  race.join("a");
  race.wait(std::chrono::minutes(40));
  race.report(1, 0.5);
  race.wait(std::chrono::hours(100));  // nobody is there
  race.crash();
  race.join("a", 1, {1});
  race.wait(std::chrono::minutes(15));
  race.report(1, 0.4);
  EXPECT_FALSE(race.study().ended());
  race.wait(std::chrono::minutes(6));
  race.tell(Tick{});
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::time_over);
  EXPECT_EQ(race.trial(0).state, TrialState::stopped);
  EXPECT_EQ(race.study().best_trial(), 0);
}

TEST(StudyEnd, AStudyWithoutAnyValueHasFailed) {
  Race race("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 2}");
  race.join("a");
  race.finish(1, Outcome::failed, "no such file: train.csv");
  race.finish(2, Outcome::failed, "no such file: test.csv");
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::failed);
  EXPECT_THAT(race.study().ended()->message, HasSubstr("test.csv"));
}

TEST(StudyEnd, FiveTrialsThatFailAlikeEndTheStudy) {
  Race race("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 100}");
  race.join("a");
  race.finish(1, Outcome::failed, "out of memory");
  for (AttemptId attempt = 2; attempt <= 6; ++attempt) {
    EXPECT_FALSE(race.study().ended());
    race.finish(attempt, Outcome::failed, "ModuleNotFoundError: torch");
  }
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::failed);
  EXPECT_THAT(race.study().ended()->message, HasSubstr("ModuleNotFoundError: torch"));
  race.crash(true);
  race.join("b");
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, 0) << "the user has installed it";
}

TEST(StudyEnd, FailuresAfterAValueDoNotEndTheStudy) {
  Race race("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 100}");
  race.join("a");
  race.report(1, 0.5);
  for (AttemptId attempt = 2; attempt <= 20; ++attempt) {
    race.finish(attempt, Outcome::failed, "out of memory");
  }
  EXPECT_FALSE(race.study().ended());
}

TEST(StudyEnd, TwentyInvalidPointsInARowEndTheStudyAndTheLastIsQuoted) {
  Race race("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 100}");
  race.join("a");
  for (AttemptId attempt = 1; attempt <= 20; ++attempt) {
    EXPECT_FALSE(race.study().ended());
    race.finish(attempt, Outcome::invalid, "layer " + std::to_string(attempt) + " is larger than its input");
  }
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::failed);
  EXPECT_THAT(race.study().ended()->message, HasSubstr("layer 20 is larger"));
}

TEST(StudyEnd, TheBestModelIsMeasuredBeforeTheEnd) {
  Race race(kTwoTrials, {.evaluate_best = true});
  race.join("a");
  race.report(1, 0.5);
  race.report(2, 0.6);
  EXPECT_FALSE(race.study().ended());
  const auto order = race.commands_of<EvaluateTrial>().at(0);
  EXPECT_EQ(order.trial, 0);
  EXPECT_EQ(order.checkpoint, "t0/e1");
  race.tell(EvaluationDone{.crew = "a", .trial = 0, .metrics = {{"test_loss", 0.55}}, .model = "best.st"});
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().test()->model, "best.st");
  EXPECT_THAT(race.commands_of<DismissCrew>(), SizeIs(1));
}

TEST(StudyEnd, AnotherCrewMeasuresWhenTheFirstDies) {
  Race race(kTwoTrials, {.max_attempts = 2});
  race.join("a");
  race.report(1, 0.5);
  race.report(2, 0.6);
  race.lose("a");
  EXPECT_FALSE(race.study().ended());
  race.join("b");
  EXPECT_EQ(race.commands_of<EvaluateTrial>().at(0).crew, "b");
  race.lose("b");
  ASSERT_TRUE(race.study().ended()) << "two crews died over it";
  EXPECT_EQ(race.study().ended()->reason, Reason::finished);
  EXPECT_THAT(race.study().ended()->message, HasSubstr("signal 9"));
}

TEST(StudyEnd, AMeasurementThatFailsStillEndsTheStudy) {
  Race race(kTwoTrials, {.evaluate_best = true});
  race.join("a");
  race.report(1, 0.5);
  race.report(2, 0.6);
  race.tell(EvaluationDone{.crew = "a", .trial = 0, .error = "disk full"});
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::finished);
  EXPECT_THAT(race.study().ended()->message, HasSubstr("disk full"));
  EXPECT_FALSE(race.study().test());
}

TEST(StudyEnd, AnEndedStudyGoesOnToMeasureABestTrialThatWasNot) {
  for (const char* search : {kTwoTrials, "scheduler: {type: fifo, max_epochs: 1}, stop: {target: 0.5}",
                             "sampler: random, scheduler: {type: hyperband, max_epochs: 3}"}) {
    Race race(search, {.evaluate_best = true});
    race.join("a");
    while (race.commands_of<EvaluateTrial>().empty()) {
      const AttemptId attempt = race.events_of<AttemptStarted>().back().attempt;
      race.report(attempt, 1.0 / static_cast<double>(attempt));
    }
    const int best = race.commands_of<EvaluateTrial>()[0].trial;
    const std::string checkpoint = race.commands_of<EvaluateTrial>()[0].checkpoint;
    race.tell(EvaluationDone{.crew = "a", .trial = best, .error = "disk full"});
    ASSERT_TRUE(race.study().ended()) << search;
    const Reason reason = race.study().ended()->reason;
    const std::size_t trials = race.study().trials().size();
    race.crash();
    EXPECT_FALSE(race.study().ended()) << search;
    race.join("b");
    ASSERT_THAT(race.commands_of<EvaluateTrial>(), SizeIs(1)) << search;
    EXPECT_EQ(race.commands_of<EvaluateTrial>()[0].checkpoint, checkpoint);
    race.tell(EvaluationDone{.crew = "b", .trial = best, .model = "m"});
    ASSERT_TRUE(race.study().ended()) << search;
    EXPECT_EQ(race.study().ended()->reason, reason);
    EXPECT_EQ(race.study().ended()->message, "");
    EXPECT_EQ(race.study().trials().size(), trials) << "no new trials";
    race.crash();
    EXPECT_TRUE(race.study().ended()) << "measured";
  }
}

TEST(StudyEnd, ACoordinatorThatDiedWhileMeasuringMeasuresAgain) {
  Race race(kTwoTrials, {.evaluate_best = true});
  race.join("a");
  race.report(1, 0.5);
  race.report(2, 0.6);
  race.crash();
  race.join("a");
  EXPECT_EQ(race.commands_of<EvaluateTrial>().at(0).trial, 0);
  race.tell(EvaluationDone{.crew = "a", .trial = 0, .model = "m"});
  EXPECT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().trials().size(), 2u);
}

TEST(StudyEnd, AStopRequestSuspendsEveryAttemptAndThenEnds) {
  Race race(kFourTrials);
  race.join("a");
  race.join("b");
  race.tell(StopRequested{});
  EXPECT_THAT(race.commands_of<SuspendAttempt>(), SizeIs(2));
  race.finish(1, Outcome::interrupted, "", "t0/step3");
  EXPECT_FALSE(race.study().ended());
  race.join("c");
  EXPECT_THAT(race.commands_of<StartAttempt>(), IsEmpty());
  race.finish(2, Outcome::interrupted, "", "t1/step4");
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::interrupted);
  EXPECT_THAT(race.commands_of<DismissCrew>(), SizeIs(3));
  race.crash();
  EXPECT_FALSE(race.study().ended());
  race.join("d", 2);
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(2));
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].checkpoint, "t0/step3");
  EXPECT_EQ(race.commands_of<StartAttempt>()[1].checkpoint, "t1/step4");
}

TEST(StudyEnd, AStopRequestDoesNotWaitForCrewsThatAreOutOfReach) {
  Race race(kFourTrials);
  race.join("a");
  race.crash();
  race.tell(StopRequested{});
  ASSERT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().ended()->reason, Reason::interrupted);
}

TEST(StudyEnd, AnEndedStudyStaysEndedWhenNothingAllowsMore) {
  Race race(kTwoTrials);
  race.join("a");
  race.report(1, 0.5);
  race.report(2, 0.6);
  const std::size_t events = race.events().size();
  race.crash();
  EXPECT_EQ(race.events().size(), events);
  EXPECT_TRUE(race.study().ended());
}

TEST(StudyEnd, AHigherLimitReopensAnEndedStudyUpToTheNewTotal) {
  for (const char* scheduler :
       {"{type: fifo, max_epochs: 1}", "{type: hyperband, max_epochs: 9}", "{type: asha, max_epochs: 9}"}) {
    const std::string search = std::string("scheduler: ") + scheduler + ", stop: {trials: ";
    Race race(search + "2}");
    race.join("a");
    const auto run_to_end = [&] {
      while (!race.study().ended()) {
        race.report(race.events_of<AttemptStarted>().back().attempt, 0.5);
      }
    };
    run_to_end();
    EXPECT_EQ(race.study().trials().size(), 2u);
    race.crash(false, search + "5}");
    EXPECT_FALSE(race.study().ended());
    race.join("b");
    run_to_end();
    EXPECT_EQ(race.study().trials().size(), 5u) << scheduler;
  }
}

TEST(StudyEnd, AHigherLimitAlsoReopensASearchThatWasClosedBeforeACrash) {
  Race race(kTwoTrials);
  race.join("a");
  race.join("b");
  race.report(1, 0.5);
  race.crash(false, kFourTrials);
  race.join("a");
  race.join("b", 1, {2});
  race.report(2, 0.4);
  race.report(3, 0.4);
  race.report(4, 0.4);
  EXPECT_TRUE(race.study().ended());
  EXPECT_EQ(race.study().trials().size(), 4u);
}

TEST(StudyEnd, FailedTrialsAreRetriedOnRequestFromTheirNewestCheckpoint) {
  Race race("scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 2}");
  race.join("a");
  race.report(1, 0.5);
  race.finish(1, Outcome::failed, "bus error");
  for (int epoch = 0; epoch < 3; ++epoch) {
    race.report(2, 0.6);
  }
  ASSERT_TRUE(race.study().ended());
  race.crash(true);
  EXPECT_FALSE(race.study().ended());
  race.join("b");
  const auto start = race.commands_of<StartAttempt>().at(0);
  EXPECT_EQ(start.trial, 0);
  EXPECT_EQ(start.checkpoint, "t0/e1");
  race.report(3, 0.4);
  race.report(3, 0.3);
  EXPECT_TRUE(race.study().ended());
  EXPECT_THAT(race.states(), ElementsAre(TrialState::complete, TrialState::complete));
  EXPECT_EQ(race.study().best_trial(), 0);
}

TEST(StudyEnd, ARetriedTrialThatWasFurtherThanANewOneIsGrantedTrainsOneMoreEpoch) {
  Race race("scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 9}");
  race.join("a");
  for (AttemptId attempt = 1; attempt <= 9; ++attempt) {
    race.report(attempt, 1.0 / static_cast<double>(attempt));
  }
  race.report(9, 0.01);  // the best goes on at once
  race.finish(9, Outcome::failed, "bus error");
  const int failed = race.events_of<AttemptEnded>().back().trial;
  while (!race.study().ended()) {
    race.report(race.events_of<AttemptStarted>().back().attempt, 0.5);
  }
  race.crash(true);
  race.join("b");
  const auto start = race.commands_of<StartAttempt>().at(0);
  EXPECT_EQ(start.trial, failed);
  EXPECT_EQ(start.until_epoch, 3);
  while (!race.study().ended()) {
    race.report(race.events_of<AttemptStarted>().back().attempt, 0.5);
  }
  EXPECT_NE(race.trial(failed).state, TrialState::failed);
}

TEST(StudyEnd, DivergedTrialsAreNotRetried) {
  Race race(kTwoTrials);
  race.join("a");
  race.report(1, 0.5);
  race.finish(2, Outcome::diverged, "loss became nan");
  ASSERT_TRUE(race.study().ended());
  race.crash(true);
  EXPECT_TRUE(race.study().ended());
}

}  // namespace
}  // namespace regatta

// Crews that run several trials at once: which trials share a crew, and what a crew's end means for them.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "study_kit.h"

namespace regatta {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kThreeEpochs =
    "sampler: random, scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 40}";

std::string size_of(const Point& point) { return std::to_string(point[2].value()); }

StudyOptions by_size() { return {.evaluate_best = false, .shape_of = size_of}; }

TEST(StudyLanes, ACrewIsGivenAsManyTrialsAsItHasLanes) {
  Race race(kThreeEpochs);
  race.join("a", 3);
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(3));
  for (const double loss : {0.5, 0.4, 0.3}) {
    race.report(2, loss);
  }
  EXPECT_EQ(race.trial(1).state, TrialState::complete);
  ASSERT_THAT(race.commands_of<StartAttempt>(), SizeIs(1)) << "the freed lane takes the next trial";
  EXPECT_EQ(race.commands_of<StartAttempt>()[0].trial, 3);
  EXPECT_EQ(race.trial(0).state, TrialState::running);
}

TEST(StudyLanes, TrialsOfOneShapeShareACrewAndOthersWaitUntilOneIsEmpty) {
  Race race(kThreeEpochs, by_size());
  race.join("a", 3);
  const auto started = race.events_of<AttemptStarted>();
  ASSERT_FALSE(started.empty());
  std::set<std::string> shapes;
  for (const auto& attempt : started) {
    shapes.insert(size_of(race.trial(attempt.trial).point));
  }
  EXPECT_THAT(shapes, SizeIs(1));
  std::vector<int> waiting;
  for (const Trial& trial : race.study().trials()) {
    if (trial.state == TrialState::waiting) {
      EXPECT_FALSE(shapes.contains(size_of(trial.point)));
      waiting.push_back(trial.number);
    }
  }
  ASSERT_FALSE(waiting.empty()) << "five sizes among so many trials";
  EXPECT_LE(waiting.size(), 3U) << "no more are proposed ahead than a crew has lanes";
  race.join("b", 3);
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, waiting.front()) << "an empty crew takes the first";
}

TEST(StudyLanes, AnEmptiedCrewGoesOverToTheTrialsThatWaited) {
  Race race(kThreeEpochs, by_size());
  race.join("a", 2);
  const auto first_waiting = [&] {
    for (const Trial& trial : race.study().trials()) {
      if (trial.state == TrialState::waiting) {
        return trial.number;
      }
    }
    return -1;
  };
  for (int reports = 0; reports < 200 && !race.study().ended(); ++reports) {
    const int waited = first_waiting();
    std::vector<AttemptId> running;
    for (const TrialRecord& record : race.study().records()) {
      if (record.attempt) {
        running.push_back(*record.attempt);
      }
    }
    ASSERT_FALSE(running.empty());
    race.report(running.front(), 0.5);
    const auto starts = race.commands_of<StartAttempt>();
    if (running.size() == 1 && !starts.empty() && waited >= 0) {
      EXPECT_EQ(starts.front().trial, waited);
    }
  }
  ASSERT_TRUE(race.study().ended());
  EXPECT_THAT(race.study().trials(), SizeIs(40));
  EXPECT_THAT(race.states(), testing::Each(TrialState::complete));
}

TEST(StudyLanes, ALostCrewEndsTheAttemptsOfAllItsLanesAndEachTrialGoesOn) {
  Race race(kThreeEpochs);
  race.join("a", 4);
  race.report(1, 0.5);
  race.report(3, 0.4);
  race.lose("a");
  for (const int trial : {0, 1, 2, 3}) {
    EXPECT_EQ(race.trial(trial).state, TrialState::waiting);
    EXPECT_EQ(race.record(trial).attempts_lost, 1);
  }
  race.join("b", 4);
  std::map<int, std::string> starts;
  for (const auto& start : race.commands_of<StartAttempt>()) {
    starts[start.trial] = start.checkpoint;
  }
  EXPECT_EQ(starts, (std::map<int, std::string>{{0, "t0/e1"}, {1, ""}, {2, "t2/e1"}, {3, ""}}));
}

TEST(StudyLanes, ACrewThatComesBackKeepsTheLanesItStillRunsAndIsGivenNoMoreThanIsFree) {
  Race race(kThreeEpochs);
  race.join("a", 3);
  race.crash();
  race.join("a", 3, {1, 3});
  EXPECT_THAT(race.commands_of<EndAttempt>(), IsEmpty());
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
  EXPECT_EQ(race.trial(1).state, TrialState::running) << "its last words may still be on their way";
}

TEST(StudyLanes, ADivergedTrialEndsAloneInItsCrew) {
  Race race(kThreeEpochs);
  race.join("a", 2);
  race.finish(2, Outcome::diverged, "the loss is not finite");
  EXPECT_EQ(race.trial(1).state, TrialState::failed);
  EXPECT_EQ(race.trial(0).state, TrialState::running);
  EXPECT_THAT(race.commands_of<StartAttempt>(), SizeIs(1));
}

// A trial that has waited joins the bracket that the scheduler fills now.
TEST(StudyLanes, WhatWasProposedAheadIsStillToBeDoneWhenTheStudyGoesOn) {
  const auto search = [](int hours) {
    return "sampler: random, scheduler: {type: fifo, max_epochs: 3}, stop: {trials: 40, hours: " +
           std::to_string(hours) + "}";
  };
  Race race(search(1), by_size());
  race.join("a", 3);
  race.wait(std::chrono::hours(2));
  race.tell(Tick{});
  ASSERT_TRUE(race.study().ended());
  const auto first = std::ranges::find(race.study().trials(), TrialState::waiting, &Trial::state);
  ASSERT_NE(first, race.study().trials().end()) << "five sizes among so many trials";
  const int number = first->number;
  race.crash(false, search(9));
  race.join("b", 3);
  EXPECT_EQ(race.commands_of<StartAttempt>().at(0).trial, number);
}

TEST(StudyLanes, WhereATrialThatWaitedWasPutIsStored) {
  const TimedEvent moved{.event = AttemptStarted{.attempt = 4, .trial = 2, .crew = "a", .bracket = 3}};
  EXPECT_EQ(std::get<AttemptStarted>(stored_and_read(moved).event).bracket, 3);
  const EncodedEvent plain = encode(AttemptStarted{.attempt = 4, .trial = 2, .crew = "a"});
  EXPECT_EQ(plain.body.find("bracket"), std::string::npos) << "as it was stored before there were lanes";
  EXPECT_EQ(std::get<AttemptStarted>(decode(plain).value()).bracket, std::nullopt);
}

TEST(StudyLanes, SimulatedLanesMakeACrewTrainMoreAtOnceForATimeOfItsOwn) {
  const Experiment experiment =
      make_experiment("scheduler: {type: fifo, max_epochs: 10}, stop: {trials: 32}");
  const auto makespan = [&](int lanes, double lane_cost) {
    const auto study = make_study(experiment);
    return simulate(*study, {.crews = 1,
                             .lanes = lanes,
                             .lane_cost = lane_cost,
                             .epoch_seconds = 10,
                             .epoch_spread = 0,
                             .start_seconds = 0})
        .value()
        .makespan_seconds;
  };
  EXPECT_NEAR(makespan(1, 0.5), 3200, 1);
  EXPECT_NEAR(makespan(8, 0), 400, 1);
  EXPECT_NEAR(makespan(8, 1), 3200, 400);
  EXPECT_NEAR(makespan(8, 0.5), 400 * 4.5, 200);
}

}  // namespace
}  // namespace regatta

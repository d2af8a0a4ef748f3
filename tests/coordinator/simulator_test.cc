// The simulator: the same answer twice, faults that lose nothing, sizes that people plan for.
#include "coordinator/simulator.h"

#include <gmock/gmock.h>

#include <cmath>

#include "study_kit.h"

namespace regatta {
namespace {

SimulationResult simulated(const std::string& search, const SimulationOptions& options,
                           const StudyOptions& study_options = {}) {
  const Experiment experiment = make_experiment(search);
  const auto study = make_study(experiment, study_options);
  auto result = simulate(*study, options);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *result : SimulationResult{};
}

TEST(Simulator, TheSameSeedGivesTheSameEvents) {
  const char* search = "scheduler: {type: asha, max_epochs: 27}, stop: {trials: 200}";
  const SimulationOptions options{.crews = 16, .seed = 1, .mean_seconds_to_failure = 500};
  const SimulationResult first = simulated(search, options);
  const SimulationResult second = simulated(search, options);
  EXPECT_EQ(first.fingerprint, second.fingerprint);
  EXPECT_EQ(first.makespan_seconds, second.makespan_seconds);
  SimulationOptions other = options;
  other.seed = 2;
  EXPECT_NE(first.fingerprint, simulated(search, other).fingerprint);
}

TEST(Simulator, AThousandCrewsFinishTenThousandTrials) {
  for (const char* scheduler : {"{type: hyperband, max_epochs: 27}", "{type: asha, max_epochs: 27}"}) {
    const SimulationResult result =
        simulated(std::string("sampler: random, scheduler: ") + scheduler + ", stop: {trials: 10000}",
                  {.crews = 1000, .seed = 1});
    EXPECT_EQ(result.trials, 10000);
    EXPECT_EQ(result.complete + result.stopped, 10000);
    EXPECT_GT(result.busy_fraction, 0.2);
    RecordProperty(std::string("wall_seconds ") + scheduler, std::to_string(result.wall_seconds));
  }
}

TEST(Simulator, OneCrewWithoutFailuresIsBusyButForStarts) {
  const SimulationResult result = simulated("scheduler: {type: fifo, max_epochs: 10}, stop: {trials: 10}",
                                            {.crews = 1, .epoch_seconds = 10, .start_seconds = 0});
  EXPECT_EQ(result.epochs, 100);
  EXPECT_EQ(result.attempts, 10);
  EXPECT_EQ(result.complete, 10);
  EXPECT_NEAR(result.busy_fraction, 1, 1e-6);
  EXPECT_NEAR(result.lost_fraction, 0, 1e-6);
}

TEST(Simulator, FailuresCostTimeButNoTrials) {
  const char* search = "scheduler: {type: fifo, max_epochs: 10}, stop: {trials: 100}";
  const SimulationResult calm = simulated(search, {.crews = 8});
  const SimulationResult failing =
      simulated(search, {.crews = 8, .mean_seconds_to_failure = 200}, {.max_attempts = 100});
  EXPECT_EQ(failing.complete, 100);
  EXPECT_EQ(failing.epochs, calm.epochs);
  EXPECT_GT(failing.attempts, calm.attempts);
  EXPECT_GT(failing.lost_fraction, 0);
  EXPECT_GT(failing.makespan_seconds, calm.makespan_seconds);
}

TEST(Simulator, TheTimeLimitEndsAStudyThatNothingElseWouldEnd) {
  const SimulationResult result =
      simulated("scheduler: {type: fifo, max_epochs: 1000}, stop: {hours: 1}", {.crews = 2});
  EXPECT_NEAR(result.makespan_seconds, 3600, 5);
  EXPECT_EQ(result.stopped, 2);
}

TEST(Simulator, CurvesImproveAndDependOnThePointAndTheDirection) {
  const Experiment loss = make_experiment("scheduler: {type: fifo, max_epochs: 9}, stop: {trials: 9}");
  const Experiment accuracy =
      make_experiment("scheduler: {type: fifo, max_epochs: 9}, stop: {trials: 9}", "{maximize: accuracy}");
  const Point near = loss.space.from_unit(std::vector<double>{0.5, 0.5, 0.5, 0.5, 0.5});
  const Point far = loss.space.from_unit(std::vector<double>{0.99, 0.99, 0.99, 0.99, 0.99});
  EXPECT_LT(simulated_value(loss, near, 50, 1), simulated_value(loss, near, 1, 1));
  EXPECT_LT(simulated_value(loss, near, 50, 1), simulated_value(loss, far, 50, 1));
  EXPECT_DOUBLE_EQ(simulated_value(accuracy, near, 5, 1), 1 - simulated_value(loss, near, 5, 1));
}

TEST(Simulator, EveryEventReachesTheObserver) {
  const Experiment experiment = make_experiment("scheduler: {type: fifo, max_epochs: 2}, stop: {trials: 3}");
  const auto study = make_study(experiment);
  std::vector<TimedEvent> seen;
  ASSERT_TRUE(simulate(*study, {.crews = 2}, [&](const TimedEvent& event) { seen.push_back(event); }).ok());
  EXPECT_EQ(describe(*replayed(experiment, {}, seen)), describe(*study));
}

}  // namespace
}  // namespace regatta

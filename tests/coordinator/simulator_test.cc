// The simulator: the same answer twice, faults that lose nothing, sizes that people plan for.
#include "coordinator/simulator.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <utility>

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
  ASSERT_TRUE(simulate(*study, {.crews = 2}, {.observe = [&](const TimedEvent& event) {
                seen.push_back(event);
              }}).ok());
  EXPECT_EQ(describe(*replayed(experiment, {}, seen)), describe(*study));
}

// Falls by a tenth an epoch for four epochs; trial 1 diverges.
class ShortCurves final : public TrialCurves {
 public:
  std::optional<Metrics> metrics(int trial, const Point& /*point*/, int epoch) override {
    if (epoch > 4) {
      return std::nullopt;
    }
    return Metrics{{"loss", trial == 1 && epoch == 3 ? std::nan("") : 1 - 0.1 * epoch}};
  }
  std::optional<double> epoch_seconds(int trial, const Point& /*point*/) override { return trial + 1.0; }
};

TEST(Simulator, PlaysGivenCurvesToTheirEnds) {
  ShortCurves curves;
  const SimulationResult result = simulated("scheduler: {type: fifo, max_epochs: 9}, stop: {trials: 3}",
                                            {.crews = 1, .start_seconds = 0, .curves = &curves});
  EXPECT_EQ(result.complete, 2);
  EXPECT_EQ(result.failed, 1);
  EXPECT_EQ(result.epochs, 4 + 3 + 4);
  EXPECT_DOUBLE_EQ(result.makespan_seconds, 4 * 1 + 3 * 2 + 4 * 3);
  EXPECT_DOUBLE_EQ(result.best_value, 0.6);
}

TEST(Simulator, ATrialThatIsResumedAtTheEndOfItsCurveIsComplete) {
  ShortCurves curves;
  const SimulationResult result =
      simulated("scheduler: {type: hyperband, max_epochs: 16, eta: 2}, stop: {trials: 40}",
                {.crews = 3, .start_seconds = 0, .curves = &curves});
  EXPECT_EQ(result.trials, 40);
  EXPECT_EQ(result.failed, 1);
  EXPECT_GT(result.complete, 3);
}

// Cut short after any number of inputs, a study goes on in another session to the same trials.
TEST(Simulator, AStudyThatWasCutShortGoesOn) {
  const Experiment experiment = make_experiment("scheduler: {type: asha, max_epochs: 9}, stop: {trials: 30}");
  for (const int steps : {1, 2, 10, 41, 57}) {
    std::vector<TimedEvent> events;
    const SimulationHooks keep = {.observe = [&](const TimedEvent& event) { events.push_back(event); }};
    SimulationHooks cut = keep;
    int left = steps;
    cut.step = [&]() -> Result<std::optional<Input>> {
      return --left == 0 ? Result<std::optional<Input>>(failure("cut")) : std::optional<Input>();
    };
    const auto study = make_study(experiment, {.evaluate_best = false});
    ASSERT_FALSE(simulate(*study, {.crews = 3}, cut).ok());
    const auto again = replayed(experiment, {.evaluate_best = false}, events);
    const Microseconds end = events.empty() ? Microseconds(1) : events.back().at;
    for (const TimedEvent& event : again->resume(false, end).events) {
      events.push_back(event);
    }
    const auto result = simulate(*again, {.crews = 3, .start = end}, keep);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->trials, 30);
    EXPECT_EQ(result->failed, 0);
    EXPECT_EQ(describe(*replayed(experiment, {.evaluate_best = false}, events)), describe(*again));
  }
}

// The last trial trains on all slots; what it reports is what it would have reported on one.
TEST(Simulator, ElasticCrewsEndAStudySoonerWithTheSameReports) {
  const char* search = "sampler: random, scheduler: {type: hyperband, max_epochs: 81}, stop: {trials: 81}";
  const Experiment experiment = make_experiment(search);
  std::map<std::pair<int, int>, double> reports[2];
  SimulationResult results[2];
  for (const bool elastic : {false, true}) {
    StudyOptions study_options{.evaluate_best = false};
    SimulationOptions options{.crews = 8, .seed = 2};
    if (elastic) {
      study_options.elastic.emplace();
      options.elastic = true;
    }
    const auto study = make_study(experiment, study_options);
    const auto result = simulate(*study, options, {.observe = [&](const TimedEvent& event) {
      if (const auto* report = std::get_if<Reported>(&event.event)) {
        reports[elastic][{report->trial, report->epoch}] = report->metrics.front().second;
      }
    }});
    ASSERT_TRUE(result.ok()) << result.error().message;
    results[elastic] = *result;
  }
  EXPECT_EQ(reports[0], reports[1]);
  EXPECT_EQ(results[0].best_trial, results[1].best_trial);
  EXPECT_LT(results[1].makespan_seconds, 0.8 * results[0].makespan_seconds);
  EXPECT_GT(results[1].busy_fraction, results[0].busy_fraction);
  EXPECT_NEAR(results[1].lost_fraction, 0, 1e-3);
}

TEST(Simulator, AStudyIsStoppedOnRequest) {
  const Experiment experiment = make_experiment("scheduler: {type: fifo, max_epochs: 9}, stop: {trials: 30}");
  const auto study = make_study(experiment);
  int steps = 0;
  const auto result = simulate(*study, {.crews = 3}, {.step = [&]() -> Result<std::optional<Input>> {
    return ++steps == 40 ? std::optional<Input>(StopRequested{}) : std::nullopt;
  }});
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_TRUE(study->ended());
  EXPECT_EQ(study->ended()->reason, StudyEnded::Reason::interrupted);
}

}  // namespace
}  // namespace regatta

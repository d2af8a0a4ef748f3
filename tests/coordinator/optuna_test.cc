// Debian's python3-optuna reads what the store wrote.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "coordinator/objectives.h"
#include "store_kit.h"

namespace regatta {
namespace {

using Json = nlohmann::json;

// Debian's interpreter: the package belongs to it.
constexpr const char* kPython = "/usr/bin/python3";

std::optional<int> run_python(const std::vector<std::string>& arguments,
                              const std::filesystem::path& output) {
  ProcessOptions options{.command = {kPython}, .output = output};
  options.command.insert(options.command.end(), arguments.begin(), arguments.end());
  auto process = Process::start(options);
  if (!process.ok()) {
    return std::nullopt;
  }
  const auto status = process->wait_for(std::chrono::seconds(60));
  return status ? std::optional(status->code) : std::nullopt;
}

const char* state_name(TrialState state) {
  switch (state) {
    case TrialState::waiting:
      return "WAITING";
    case TrialState::running:
    case TrialState::paused:
      return "RUNNING";
    case TrialState::complete:
      return "COMPLETE";
    case TrialState::stopped:
      return "PRUNED";
    default:
      return "FAIL";
  }
}

Json params_of(const Space& space, const Point& point) {
  Json params = Json::object();
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (const auto value = space.value(point, i)) {
      std::visit([&](const auto& typed) { params[space.parameters()[i].name] = typed; }, *value);
    }
  }
  return params;
}

Json expectation(const Study& study, bool goes_on) {
  const Objective& objective = study.experiment().objectives.front();
  Json json = {{"name", study.experiment().name},
               {"direction", objective.direction == Direction::maximize ? "MAXIMIZE" : "MINIMIZE"},
               {"goes_on", goes_on},
               {"best", nullptr},
               {"trials", Json::array()}};
  const auto best = study.best_trial();
  if (best && study.trials()[static_cast<std::size_t>(*best)].state == TrialState::complete) {
    json["best"] = *best;
  }
  for (const Trial& trial : study.trials()) {
    const bool valued = trial.state == TrialState::complete || trial.state == TrialState::stopped;
    Json reports = Json::object();
    for (const Reported& report : study.records()[static_cast<std::size_t>(trial.number)].reports) {
      const double value = *find_metric(report.metrics, objective.metric);
      reports[std::to_string(report.epoch)] =
          std::isfinite(value) ? Json(value) : Json(std::to_string(value));
    }
    json["trials"].push_back(
        {{"state", state_name(trial.state)},
         {"params", params_of(study.experiment().space, trial.point)},
         {"reports", reports},
         {"value", valued && !trial.values.empty() ? Json(in_user_direction(objective, trial.values.front()))
                                                   : Json(nullptr)}});
  }
  return json;
}

class OptunaTest : public testing::Test {
 protected:
  void SetUp() override {
    if (run_python({"-c", "import optuna"}, "/dev/null") != 0) {
      GTEST_SKIP() << "python3-optuna is not installed: apt-get install python3-optuna";
    }
  }

  void expect_agreement(StoredRace& race, bool goes_on = false) {
    const auto expected = race.folder() / "expected.json";
    const auto output = race.folder() / "output.txt";
    ASSERT_TRUE(write_file_atomically(expected, expectation(race.study(), goes_on).dump()).ok());
    EXPECT_EQ(run_python({OPTUNA_TEST_SCRIPT, race.database(), expected}, output), 0)
        << read_file(output).value();
  }
};

TEST_F(OptunaTest, ReadsAStudyWithFailuresAndAgreesOnTheBestTrial) {
  StoredRace race("scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 20}");
  race.run({.crews = 3, .seed = 3, .mean_seconds_to_failure = 60});
  race.close_store();
  expect_agreement(race);
}

TEST_F(OptunaTest, AgreesOnAMaximisedObjectiveAndCanGoOn) {
  StoredRace race("scheduler: {type: asha, max_epochs: 9}, stop: {trials: 20}", "{maximize: accuracy}");
  race.run({.crews = 3, .seed = 4});
  race.close_store();
  expect_agreement(race, true);
}

TEST_F(OptunaTest, ReadsARunningStudy) {
  StoredRace race("scheduler: {type: hyperband, max_epochs: 9}, stop: {trials: 20}");
  race.run({.crews = 3}, [&] {
    if (race.log().size() == 60) {
      expect_agreement(race);
    }
  });
}

TEST_F(OptunaTest, AgreesWhenTrialsAreEqualOrHaveNoValue) {
  StoredRace race("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 7}");
  Microseconds now = std::chrono::hours(24);
  const auto tell = [&](const Input& input) {
    now += std::chrono::seconds(1);
    ASSERT_TRUE(race.store().append(race.study().handle(input, now).events, race.study()).ok());
  };
  tell(CrewJoined{.crew = "a", .lanes = 7});
  const double losses[] = {0.5, 0.25, std::nan(""), 0.25, std::numeric_limits<double>::infinity()};
  for (AttemptId attempt = 1; attempt <= 5; ++attempt) {
    tell(ReportReceived{
        .crew = "a", .attempt = attempt, .epoch = 1, .metrics = {{"loss", losses[attempt - 1]}, {"f1", 1}}});
  }
  tell(AttemptFinished{.crew = "a", .attempt = 6, .outcome = Outcome::invalid, .message = "too deep"});
  tell(CrewLost{.crew = "a"});
  EXPECT_EQ(race.study().best_trial(), 1);
  race.close_store();
  expect_agreement(race);
}

}  // namespace
}  // namespace regatta

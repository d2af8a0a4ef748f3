// The ready example: a PyTorch script over two ranks, stopped, and gone on with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mpi_run.h"
#include "worker/plan.h"

namespace regatta {
namespace {

const std::filesystem::path kExample = EXAMPLE_FOLDER;

TEST(PyTorchExample, IsAValidExperiment) {
  const auto experiment = load_experiment(kExample / "experiment.yaml", {});
  ASSERT_TRUE(experiment.ok()) << experiment.error().message;
  const auto plan = check_experiment(*experiment, 9);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_THAT(plan->command, testing::Contains(testing::StartsWith("--width=")));
}

TEST(PyTorchExample, StopReachesBothRanksAndTheTrialGoesOnLater) {
  auto probe = Process::start({.command = {"/usr/bin/python3", "-c", "import torch, sklearn"}});
  if (!probe.ok() || !probe->wait_for(std::chrono::seconds(100)).value_or(ExitStatus{1}).success()) {
    GTEST_SKIP() << "python3-torch or python3-sklearn is not installed";
  }
  const auto folder = TemporaryDirectory::make();
  const auto experiment = kExample / "experiment.yaml";
  const std::vector<std::string> point{"point:0.1,32,0.9"};
  CrewCall call{.ranks = 2, .attempt = 1, .until_epoch = 3, .answers = point};
  call.answers.emplace_back("report:3=end");
  const CrewRun first = run_crew_program(experiment, folder->path(), call);
  EXPECT_EQ(first.end["end"], "ordered") << first.output;
  ASSERT_EQ(first.reports.size(), 3U) << first.output;

  call = {.ranks = 2,
          .attempt = 2,
          .until_epoch = 9,
          .checkpoint = first.reports.back()["checkpoint"],
          .answers = point};
  call.answers.emplace_back("report:9=end");
  const CrewRun second = run_crew_program(experiment, folder->path(), call);
  EXPECT_EQ(second.end["end"], "ordered") << second.output;
  ASSERT_EQ(second.reports.size(), 6U) << second.output;
  EXPECT_EQ(second.reports[0]["epoch"], 4);
  EXPECT_GT(second.reports.back()["val_accuracy"].get<double>(), 0.9);

  call.attempt = 3;
  call.checkpoint = "-";
  const CrewRun whole = run_crew_program(experiment, folder->path(), call);
  ASSERT_EQ(whole.reports.size(), 9U) << whole.output;
  EXPECT_EQ(whole.reports.back()["val_loss"], second.reports.back()["val_loss"]);
}

}  // namespace
}  // namespace regatta

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

// Empty, or why the script cannot run here.
std::string missing_for_the_script() {
  auto probe = Process::start({.command = {"/usr/bin/python3", "-c", "import torch, sklearn"}});
  const bool is_there =
      probe.ok() && probe->wait_for(std::chrono::seconds(100)).value_or(ExitStatus{1}).success();
  return is_there ? "" : "python3-torch or python3-sklearn is not installed";
}

TEST(PyTorchExample, StopReachesBothRanksAndTheTrialGoesOnLater) {
  if (const std::string missing = missing_for_the_script(); !missing.empty()) {
    GTEST_SKIP() << missing;
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

// As after a coordinator that was dead for a while: its crew trained on, and those reports never counted.
TEST(PyTorchExample, GoesOnFromAnyEpochSinceItWasStarted) {
  if (const std::string missing = missing_for_the_script(); !missing.empty()) {
    GTEST_SKIP() << missing;
  }
  const auto folder = TemporaryDirectory::make();
  const auto run = [&](int attempt, int last_epoch, const std::string& checkpoint) {
    return run_crew_program(
        kExample / "experiment.yaml", folder->path(),
        {.attempt = attempt,
         .until_epoch = 9,
         .checkpoint = checkpoint,
         .answers = {"point:0.1,32,0.9", "report:" + std::to_string(last_epoch) + "=end"}});
  };
  const CrewRun first = run(1, 5, "-");
  ASSERT_EQ(first.reports.size(), 5U) << first.output;
  const CrewRun second = run(2, 7, first.reports[1]["checkpoint"]);
  ASSERT_EQ(second.reports.size(), 5U) << second.output;
  EXPECT_EQ(second.reports[0]["epoch"], 3);
  EXPECT_EQ(second.reports[0]["val_loss"], first.reports[2]["val_loss"]);

  const auto states = folder->path() / "checkpoints/trial-00012/program";
  EXPECT_FALSE(std::filesystem::exists(states / "epoch-001.pt"));
  for (const int epoch : {2, 3, 4, 5, 6, 7}) {
    EXPECT_TRUE(std::filesystem::exists(states / ("epoch-00" + std::to_string(epoch) + ".pt"))) << epoch;
  }
}

}  // namespace
}  // namespace regatta

// Attempts under mpirun: the same curve on any number of ranks, and the same bits after any interruption.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "mpi_run.h"
#include "small_data.h"
#include "worker/checkpoint.h"

namespace regatta {
namespace {

using testing::HasSubstr;

constexpr const char* kExperiment = R"(
name: small
seed: 7
objective: {maximize: val_accuracy}
data: {format: idx, path: ., validation: 0.2}
model:
  layers:
    - conv: {filters: 4, kernel: 3}
    - batch_norm
    - relu
    - max_pool: 2
    - flatten
    - dropout: 0.3
    - dense: 3
train: {optimizer: {type: sgd, lr: 0.05, momentum: 0.9}, batch_size: 24}
)";

class TrainingTest : public testing::Test {
 protected:
  TrainingTest() {
    write_small_images(folder_.path());
    write(kExperiment);
  }

  void write(const std::string& yaml) { EXPECT_TRUE(write_file_atomically(experiment_, yaml).ok()); }
  void replace(const std::string& from, const std::string& to) {
    std::string yaml = kExperiment;
    ASSERT_NE(yaml.find(from), std::string::npos);
    write(yaml.replace(yaml.find(from), from.size(), to));
  }

  CrewRun run(const CrewCall& call) { return run_crew_program(experiment_, folder_.path(), call); }
  std::string file(const std::string& checkpoint) {
    const auto bytes = read_file(folder_.path() / checkpoint);
    EXPECT_TRUE(bytes.ok()) << (bytes.ok() ? "" : bytes.error().message);
    return bytes.ok() ? *bytes : "";
  }

  // Four epochs without interruption; the last checkpoint's bytes, and the reports.
  CrewRun reference(int ranks) {
    CrewRun whole =
        run({.ranks = ranks, .attempt = 90 + ranks, .until_epoch = 4, .answers = {"report:4=end"}});
    EXPECT_EQ(whole.reports.size(), 4U) << whole.output;
    return whole;
  }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  std::filesystem::path experiment_ = folder_.path() / "small.yaml";
};

TEST_F(TrainingTest, CurveIsTheSameOnOneTwoAndFourRanks) {
  const CrewRun one = reference(1);
  EXPECT_GT(one.reports[3]["val_accuracy"].get<double>(), 0.8) << one.output;
  for (const int ranks : {2, 4}) {
    const CrewRun several = reference(ranks);
    ASSERT_EQ(several.reports.size(), 4U);
    for (std::size_t epoch = 0; epoch < 4; ++epoch) {
      for (const char* name : {"train_loss", "val_loss"}) {
        const double expected = one.reports[epoch][name];
        EXPECT_NEAR(several.reports[epoch][name].get<double>(), expected, 2e-4 * (1 + expected))
            << name << " of epoch " << epoch + 1 << " on " << ranks << " ranks";
      }
    }
  }
}

// Batch statistics, dropout, clipping and metrics included.
TEST_F(TrainingTest, DeterministicWorldGivesTheSameBitsOnOneTwoAndFourRanks) {
  for (const char* train :
       {"batch_size: 24, deterministic: world", "batch_size: 26, deterministic: {type: world, shards: 4}",
        "batch_size: 24, gradient_clip: 0.5, deterministic: {type: world, shards: 4}"}) {
    SCOPED_TRACE(train);
    replace("batch_size: 24", train);
    const CrewRun one = reference(1);
    ASSERT_EQ(one.reports.size(), 4U);
    EXPECT_GT(one.reports[3]["val_accuracy"].get<double>(), 0.8);
    for (const int ranks : {2, 4}) {
      const CrewRun several = reference(ranks);
      ASSERT_EQ(several.reports.size(), 4U);
      for (std::size_t epoch = 0; epoch < 4; ++epoch) {
        auto expected = one.reports[epoch];
        expected["checkpoint"] = several.reports[epoch]["checkpoint"];
        EXPECT_EQ(several.reports[epoch], expected) << ranks << " ranks";
      }
      EXPECT_EQ(file(several.reports[3]["checkpoint"]), file(one.reports[3]["checkpoint"]))
          << ranks << " ranks";
    }
  }
}

TEST_F(TrainingTest, DeterministicWorldTrainsWhatOneRankTrainsWithoutIt) {
  const CrewRun plain = reference(1);
  replace("batch_size: 24", "batch_size: 24, deterministic: {type: world, shards: 4}");
  const CrewRun sharded = reference(2);
  ASSERT_EQ(sharded.reports.size(), 4U);
  for (std::size_t epoch = 0; epoch < 4; ++epoch) {
    for (const char* name : {"train_loss", "val_loss"}) {
      const double expected = plain.reports[epoch][name];
      EXPECT_NEAR(sharded.reports[epoch][name].get<double>(), expected, 2e-4 * (1 + expected)) << name;
    }
  }
}

TEST_F(TrainingTest, DeterministicWorldGoesOnOnAnotherNumberOfRanksWithTheSameBits) {
  replace("batch_size: 24", "batch_size: 24, deterministic: world");
  const CrewRun whole = reference(1);
  const CrewRun first = run({.ranks = 4, .attempt = 1, .until_epoch = 4, .answers = {"asked:2=suspend"}});
  ASSERT_EQ(first.end["end"], "interrupted") << first.output;
  const CrewRun second = run({.ranks = 2,
                              .attempt = 2,
                              .until_epoch = 4,
                              .checkpoint = first.end["checkpoint"],
                              .answers = {"report:4=end"}});
  ASSERT_EQ(second.reports.size(), 4U) << second.output;
  EXPECT_EQ(second.reports[0]["train_loss"], whole.reports[0]["train_loss"]);
  EXPECT_EQ(file(second.reports[3]["checkpoint"]), file(whole.reports[3]["checkpoint"]));
}

TEST_F(TrainingTest, DeterministicWorldOnRanksThatDoNotDivideTheShardsIsInvalid) {
  replace("batch_size: 24", "batch_size: 24, deterministic: world");
  const CrewRun invalid = run({.ranks = 3, .until_epoch = 2});
  EXPECT_EQ(invalid.end["end"], "invalid") << invalid.output;
  EXPECT_THAT(invalid.end["message"].get<std::string>(), HasSubstr("8 virtual shards"));
}

TEST_F(TrainingTest, AugmentedCurveIsTheSameOnOneAndTwoRanks) {
  const double plain = reference(1).reports[3]["train_loss"];
  replace("path: .,", "path: ., augment: {flip: horizontal, crop: 1, cutout: 2, mixup: 0.3},");
  const CrewRun one = reference(1);
  const CrewRun two = reference(2);
  ASSERT_EQ(one.reports.size(), 4U);
  ASSERT_EQ(two.reports.size(), 4U);
  for (std::size_t epoch = 0; epoch < 4; ++epoch) {
    const double expected = one.reports[epoch]["train_loss"];
    EXPECT_NEAR(two.reports[epoch]["train_loss"].get<double>(), expected, 2e-4 * (1 + expected));
  }
  EXPECT_GT(one.reports[3]["train_loss"].get<double>(), plain + 0.05);  // mixed samples are harder
}

TEST_F(TrainingTest, SuspendedInTheMiddleGoesOnWithTheSameBits) {
  for (const int ranks : {1, 2}) {
    const CrewRun whole = reference(ranks);
    std::string checkpoint = "-";
    int suspensions = 0;
    CrewRun part;
    for (int attempt = 1; attempt <= 5; ++attempt) {
      // The second question of an attempt comes after its first step. The last attempts run through.
      CrewCall call{.ranks = ranks, .attempt = attempt, .until_epoch = 4, .checkpoint = checkpoint};
      call.answers = {attempt < 5 ? "asked:2=suspend" : "report:4=end"};
      if (attempt == 3) {
        call.answers = {"report:2=suspend"};  // at the boundary of an epoch
      }
      part = run(call);
      if (part.end["end"] == "interrupted") {
        ++suspensions;
        checkpoint = part.end["checkpoint"];
      }
    }
    EXPECT_EQ(suspensions, 4) << part.output;
    ASSERT_EQ(part.end["end"], "ordered") << part.output;
    EXPECT_EQ(file(part.reports.back()["checkpoint"]), file(whole.reports.back()["checkpoint"]))
        << ranks << " ranks";
    auto last = part.reports.back();
    last["checkpoint"] = whole.reports.back()["checkpoint"];
    EXPECT_EQ(last, whole.reports.back());
  }
}

TEST_F(TrainingTest, MetricsOfASuspendedEpochAreWhole) {
  const CrewRun whole = reference(2);
  const CrewRun first = run({.ranks = 2, .attempt = 1, .until_epoch = 1, .answers = {"asked:2=suspend"}});
  ASSERT_EQ(first.end["end"], "interrupted") << first.output;
  const auto suspended = load_checkpoint(folder_.path() / first.end["checkpoint"].get<std::string>());
  ASSERT_TRUE(suspended.ok()) << suspended.error().message;
  EXPECT_EQ(suspended->epoch, 0);
  EXPECT_EQ(suspended->step, 1);
  EXPECT_EQ(suspended->sums.size(), 2U);
  const CrewRun second = run({.ranks = 2,
                              .attempt = 2,
                              .until_epoch = 1,
                              .checkpoint = first.end["checkpoint"],
                              .answers = {"report:1=end"}});
  ASSERT_EQ(second.reports.size(), 1U) << second.output;
  EXPECT_EQ(second.reports[0]["train_loss"], whole.reports[0]["train_loss"]);
  // With another number of ranks the sums still count every sample once.
  const CrewRun other = run({.ranks = 1,
                             .attempt = 3,
                             .until_epoch = 1,
                             .checkpoint = first.end["checkpoint"],
                             .answers = {"report:1=end"}});
  ASSERT_EQ(other.reports.size(), 1U) << other.output;
  EXPECT_NEAR(other.reports[0]["train_loss"], whole.reports[0]["train_loss"], 1e-4);
}

TEST_F(TrainingTest, KilledLeadersTrialGoesOnWithTheSameBits) {
  const CrewRun whole = reference(2);
  const CrewRun killed = run({.ranks = 2, .attempt = 1, .until_epoch = 4, .answers = {"after:2=die"}});
  EXPECT_TRUE(killed.end.is_null()) << killed.output;
  ASSERT_GE(killed.reports.size(), 2U) << killed.output;
  const std::string checkpoint = killed.reports.back()["checkpoint"];
  const CrewRun rest = run(
      {.ranks = 2, .attempt = 2, .until_epoch = 4, .checkpoint = checkpoint, .answers = {"report:4=end"}});
  ASSERT_EQ(rest.end["end"], "ordered") << rest.output;
  EXPECT_EQ(rest.reports.size() + killed.reports.size(), 4U);
  EXPECT_EQ(file(rest.reports.back()["checkpoint"]), file(whole.reports.back()["checkpoint"]));
}

TEST_F(TrainingTest, GoesOnWhereItIsGrantedMore) {
  const CrewRun run_on = run({.ranks = 2, .until_epoch = 2, .answers = {"report:2=4", "report:4=end"}});
  EXPECT_EQ(run_on.reports.size(), 4U) << run_on.output;
  EXPECT_EQ(file(run_on.reports.back()["checkpoint"]), file(reference(2).reports.back()["checkpoint"]));
}

TEST_F(TrainingTest, DivergenceEndsTheAttemptOnAllRanks) {
  replace("lr: 0.05", "lr: 1e30");
  const CrewRun diverged = run({.ranks = 2, .until_epoch = 4});
  EXPECT_EQ(diverged.end["end"], "diverged") << diverged.output;
  EXPECT_THAT(diverged.end["message"].get<std::string>(), HasSubstr("is not finite"));
}

TEST_F(TrainingTest, EarlyStoppingCompletesTheTrialAndIsRememberedInTheCheckpoint) {
  replace("batch_size: 24",
          "batch_size: 24, early_stopping: {metric: val_loss, patience: 2, min_delta: 100}");
  const CrewRun stopped = run({.ranks = 2, .until_epoch = 9});
  EXPECT_EQ(stopped.end["end"], "complete") << stopped.output;
  EXPECT_EQ(stopped.reports.size(), 3U);
  EXPECT_THAT(stopped.end["message"].get<std::string>(), HasSubstr("early stopping: val_loss"));
  const CrewRun again =
      run({.ranks = 2, .attempt = 2, .until_epoch = 9, .checkpoint = stopped.reports.back()["checkpoint"]});
  EXPECT_EQ(again.end["end"], "complete") << again.output;
  EXPECT_TRUE(again.reports.empty());
}

TEST_F(TrainingTest, PointThatCannotBeBuiltIsInvalid) {
  replace("kernel: 3", "kernel: 30, padding: valid");
  const CrewRun invalid = run({.ranks = 2, .until_epoch = 2});
  EXPECT_EQ(invalid.end["end"], "invalid") << invalid.output;
  EXPECT_THAT(invalid.end["message"].get<std::string>(), HasSubstr("small.yaml:"));
}

TEST_F(TrainingTest, DamagedCheckpointFailsTheAttemptWithTheFilesName) {
  ASSERT_TRUE(write_file_atomically(folder_.path() / "broken.safetensors", "broken").ok());
  const CrewRun failed = run({.ranks = 2, .until_epoch = 2, .checkpoint = "broken.safetensors"});
  EXPECT_EQ(failed.end["end"], "failed") << failed.output;
  EXPECT_THAT(failed.end["message"].get<std::string>(), HasSubstr("broken.safetensors"));
}

TEST_F(TrainingTest, CheckpointOfAnotherNetworkFailsTheAttempt) {
  const CrewRun first = run({.until_epoch = 1, .answers = {"report:1=end"}});
  ASSERT_EQ(first.reports.size(), 1U) << first.output;
  replace("filters: 4", "filters: 5");
  const CrewRun failed = run({.until_epoch = 2, .checkpoint = first.reports[0]["checkpoint"]});
  EXPECT_EQ(failed.end["end"], "failed") << failed.output;
}

TEST_F(TrainingTest, DataThatIsNotThereFailsTheAttemptAndNotTheCrew) {
  std::filesystem::remove(folder_.path() / "train-images-idx3-ubyte");
  const CrewRun failed = run({.ranks = 2, .until_epoch = 2});
  EXPECT_EQ(failed.end["end"], "failed") << failed.output;
}

}  // namespace
}  // namespace regatta

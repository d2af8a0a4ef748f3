// Mistakes in an experiment are found before anything starts, each with its place.
#include "worker/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "small_data.h"

namespace regatta {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class PlanTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryDirectory(TemporaryDirectory::make().value());
    write_small_images(folder_->path(), 60);
  }
  static void TearDownTestSuite() { delete folder_; }

  static Result<TrialPlan> check(const std::string& yaml) {
    const auto experiment = parse_experiment(yaml, (folder_->path() / "exp.yaml").string());
    if (!experiment.ok()) {
      return experiment.error();
    }
    return check_experiment(*experiment, 9);
  }

  static std::string mistake_in(const std::string& yaml) {
    const auto plan = check(yaml);
    EXPECT_TRUE(plan.ok() || plan.error().kind == Error::Kind::user_mistake);
    return plan.ok() ? "" : plan.error().message;
  }

  static TemporaryDirectory* folder_;
};
TemporaryDirectory* PlanTest::folder_ = nullptr;

constexpr const char* kModel = R"(
data: {format: idx, path: .}
space: {width: {int: [4, 8]}, depth: {choice: [3, 30]}}
model: {layers: [{conv: {filters: $width, kernel: $depth, padding: valid}}, relu, flatten, {dense: 3}]}
)";

TEST_F(PlanTest, DescribesWhatWillBeTrained) {
  const auto plan = check(std::string("objective: {maximize: val_accuracy}") + kModel);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  ASSERT_TRUE(plan->model && plan->data);
  EXPECT_EQ(plan->model->network.output, (Shape{3}));
  EXPECT_EQ(plan->data->test_count, 60);
  EXPECT_THAT(plan->metrics, Contains("train_loss"));
  EXPECT_THAT(plan->metrics, Contains("val_f1"));
}

TEST_F(PlanTest, AugmentationIsPlannedAndItsMistakesAreTold) {
  const auto with = [](const std::string& augment) {
    std::string yaml = std::string("objective: {maximize: val_accuracy}") + kModel;
    return yaml.replace(yaml.find("path: ."), 7, "path: ., augment: " + augment);
  };
  const auto plan = check(with("{crop: 2, cutout: $width}"));
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->augmentation.crop_padding, 2);
  EXPECT_EQ(plan->augmentation.cutout, 4);
  EXPECT_THAT(mistake_in(with("{crop: 9}")),
              HasSubstr("exp.yaml:2:46: expected an integer from 0 to 7 for 'crop'"));
}

TEST_F(PlanTest, TheOutputOfAReadyNetworkComesFromTheData) {
  const auto plan = check(
      "objective: {maximize: val_accuracy}\ndata: {format: idx, path: .}\nspace: {n: {int: [2, "
      "3]}}\nmodel: {type: mlp, layers: $n, width: 4}\n");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->model->network.output, (Shape{3}));
}

TEST_F(PlanTest, ObjectiveMustBeReported) {
  EXPECT_THAT(mistake_in(std::string("objective: {maximize: val_acuracy}") + kModel),
              HasSubstr("exp.yaml:1:23: 'val_acuracy' is no metric of this experiment (did you mean "
                        "'val_accuracy'?)"));
}

TEST_F(PlanTest, WithoutValidationDataOnlyTrainingMetricsAreReported) {
  std::string yaml = std::string("objective: {minimize: train_loss}") + kModel;
  yaml.replace(yaml.find("path: ."), 7, "path: ., validation: 0");
  const auto plan = check(yaml);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_EQ(plan->data->validation_count, 0);
  EXPECT_THAT(plan->metrics, Each(StartsWith("train_")));

  const std::string stopping = mistake_in(yaml + "train: {early_stopping: {patience: 2}}\n");
  EXPECT_THAT(stopping, HasSubstr("exp.yaml:5:25: 'val_loss' is not reported"));
  EXPECT_THAT(stopping, HasSubstr("there is no validation data (`validation: 0`)"));
  yaml.replace(yaml.find("train_loss"), 10, "val_loss");
  EXPECT_THAT(mistake_in(yaml), HasSubstr("exp.yaml:1:23: 'val_loss' is not reported"));
}

TEST_F(PlanTest, EarlyStoppingWatchesAReportedMetric) {
  EXPECT_THAT(mistake_in(std::string("objective: {maximize: val_accuracy}") + kModel +
                         "train: {early_stopping: {metric: val_los}}\n"),
              HasSubstr("did you mean 'val_loss'?"));
}

TEST_F(PlanTest, NoPointThatCanBeBuiltIsAMistake) {
  EXPECT_THAT(mistake_in(R"(
objective: {maximize: val_accuracy}
data: {format: idx, path: .}
space: {width: {int: [4, 8]}}
model: {layers: [{conv: {filters: $width, kernel: 30, padding: valid}}, flatten, {dense: 3}]}
)"),
              HasSubstr("exp.yaml:5:"));
}

TEST_F(PlanTest, EitherAModelOrACommand) {
  EXPECT_THAT(mistake_in("objective: {maximize: x}\n"), HasSubstr("expected `model:`"));
  EXPECT_THAT(mistake_in("objective: {maximize: x}\nmodel: {layers: [{dense: 3}]}\n"),
              HasSubstr("`model` needs `data:`"));
  EXPECT_THAT(mistake_in("objective: {maximize: x}\ncommand: [a]\nmodel: {layers: [{dense: 3}]}\n"),
              HasSubstr("exp.yaml:3:8: `command` at"));
}

TEST_F(PlanTest, CommandTakesThePointsValues) {
  const auto plan = check(R"(
objective: {minimize: loss}
space: {lr: {choice: [0.25]}, tag: {choice: [a b]}}
command: [python3, train.py, --lr, $lr, "--tag=$tag"]
)");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  EXPECT_THAT(plan->command, ElementsAre("python3", "train.py", "--lr", "0.25", "--tag=a b"));
  EXPECT_TRUE(plan->metrics.empty());
}

TEST_F(PlanTest, CommandIsAListOfTexts) {
  for (const char* command : {"python3 train.py", "[]", "{a: b}", "[a, [b]]", "['']"}) {
    EXPECT_THAT(mistake_in(std::string("objective: {minimize: loss}\ncommand: ") + command + "\n"),
                HasSubstr("exp.yaml:2:"))
        << command;
  }
}

}  // namespace
}  // namespace regatta

// Training and evaluation by one rank, in this process: what is measured, and what best/model.json says.
#include "worker/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "scripted_control.h"
#include "small_data.h"
#include "worker/training.h"

namespace regatta {
namespace {

using nlohmann::json;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr const char* kExperiment = R"(
name: small
seed: 7
objective: {minimize: train_loss}
data: {format: idx, path: ., validation: 0.2, normalize: $normalize}
space:
  lr: {float: [1e-9, 1], log: true}
  width: {int: [4, 8]}
  optimizer: {choice: [sgd, adam]}
  momentum: {float: [0, 0.9], when: optimizer == sgd}
  normalize: {choice: [false, true]}
  clip: {choice: [null, 2.5]}
model: {layers: [flatten, {dense: $width}, relu, {dense: 3}]}
train:
  optimizer: {type: $optimizer, lr: $lr, momentum: $momentum}
  batch_size: 24
  gradient_clip: $clip
)";

class EvaluationTest : public testing::Test {
 protected:
  EvaluationTest() { write_small_images(folder_.path(), 60); }

  void replace(const std::string& from, const std::string& to) {
    ASSERT_NE(yaml_.find(from), std::string::npos);
    yaml_.replace(yaml_.find(from), from.size(), to);
  }

  // One epoch and its checkpoint.
  AttemptEnd train_epoch(const std::string& checkpoint = "") {
    prepare();
    const Decision last{.action = Decision::Action::end};
    ScriptedControl control({.until_epoch = 2}, {{1, last}, {2, last}});
    Training training(*bench_);
    training.begin({.attempt = 1, .trial = 12, .point = point_, .until_epoch = 2, .checkpoint = checkpoint},
                   &control);
    AttemptEnd end;
    while (training.is_busy()) {
      const auto ended = training.advance();
      EXPECT_TRUE(ended.ok());
      end = ended->empty() ? end : ended->front().end;
    }
    reports_ = control.reports;
    return end;
  }

  Result<Evaluation> evaluate() { return evaluate_trial(*bench_, {12, point_, reports_.at(0).checkpoint}); }

  json model_json() { return json::parse(read_file(folder_.path() / "best/model.json").value()); }

  static std::vector<std::string> names_of(const MetricValues& metrics) {
    std::vector<std::string> names;
    for (const auto& [name, value] : metrics) {
      names.push_back(name);
    }
    return names;
  }

  void prepare() {
    auto experiment = parse_experiment(yaml_, (folder_.path() / "small.yaml").string());
    ASSERT_TRUE(experiment.ok()) << experiment.error().message;
    bench_.reset();
    experiment_ = std::move(experiment).value();
    bench_ = std::make_unique<Workbench>(*communicator_, experiment_, clock_,
                                         WorkbenchOptions{.folder = folder_.path(), .max_epochs = 9});
  }

  TemporaryDirectory folder_ = TemporaryDirectory::make().value();
  std::string yaml_ = kExperiment;
  Point point_ = {0.012345678901234567, 5, 1, std::nullopt, 1, 0};
  const SystemClock clock_;
  std::unique_ptr<Communicator> communicator_ = make_single_communicator();
  Experiment experiment_;
  std::unique_ptr<Workbench> bench_;
  std::vector<EpochReport> reports_;
};

TEST_F(EvaluationTest, ModelJsonHoldsTheParametersExactly) {
  ASSERT_EQ(train_epoch().how, AttemptEnd::How::ordered);
  ASSERT_EQ(evaluate().value().error, "");
  EXPECT_EQ(model_json()["parameters"], (json{{"lr", 0.012345678901234567},
                                              {"width", 5},
                                              {"optimizer", "adam"},
                                              {"normalize", true},
                                              {"clip", nullptr}}));
}

TEST_F(EvaluationTest, WithoutValidationDataOnlyTrainingIsReported) {
  replace("validation: 0.2", "validation: 0");
  const AttemptEnd end = train_epoch();
  ASSERT_EQ(end.how, AttemptEnd::How::ordered) << end.message;
  EXPECT_THAT(names_of(reports_.at(0).metrics), Each(StartsWith("train_")));
  EXPECT_THAT(names_of(evaluate().value().metrics), Each(StartsWith("test_")));
}

TEST_F(EvaluationTest, WithoutAnyOtherDataTheModelIsWrittenAllTheSame) {
  replace("validation: 0.2", "validation: 0");
  for (const char* file : {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    std::filesystem::remove(folder_.path() / file);
  }
  const AttemptEnd end = train_epoch();
  ASSERT_EQ(end.how, AttemptEnd::How::ordered) << end.message;
  const auto evaluation = evaluate();
  EXPECT_EQ(evaluation.value().error, "");
  EXPECT_THAT(evaluation.value().metrics, IsEmpty());
  EXPECT_EQ(model_json()["metrics"], json::object());
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / evaluation.value().model));
}

TEST_F(EvaluationTest, CheckpointOfAnotherSeedFailsTheAttempt) {
  ASSERT_EQ(train_epoch().how, AttemptEnd::How::ordered);
  const std::string checkpoint = reports_.at(0).checkpoint;
  EXPECT_EQ(train_epoch(checkpoint).how, AttemptEnd::How::ordered);
  replace("seed: 7", "seed: 8");
  const AttemptEnd end = train_epoch(checkpoint);
  EXPECT_EQ(end.how, AttemptEnd::How::failed);
  EXPECT_THAT(end.message, HasSubstr(checkpoint));
  EXPECT_THAT(end.message, HasSubstr("another seed"));
}

}  // namespace
}  // namespace regatta

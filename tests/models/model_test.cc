// The model and train sections: what is read, and how mistakes are told.
#include "models/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/engine.h"
#include "support.h"

namespace regatta {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const ModelInput kInput{.sample_shape = {4}, .classification = true, .outputs = 3, .max_epochs = 20};
const ModelInput kRegressionInput{
    .sample_shape = {4}, .classification = false, .outputs = 3, .max_epochs = 20};

Result<ModelConfig> read(const std::string& train, const ModelInput& input = kInput) {
  return try_model("[dense: 3]", input, train);
}

TEST(Model, HasDefaultsForEverythingButTheLayers) {
  const TrainConfig train = read("{}").value().train;
  EXPECT_EQ(train.loss, Loss::cross_entropy);
  EXPECT_EQ(train.optimizer.kind, OptimizerConfig::Kind::sgd);
  EXPECT_EQ(train.optimizer.lr, 0.01);
  EXPECT_EQ(train.batch_size, 128);
  EXPECT_EQ(train.precision, Precision::fp32);
  EXPECT_EQ(train.schedule.kind, ScheduleConfig::Kind::constant);
  EXPECT_FALSE(train.gradient_clip.has_value());
  EXPECT_FALSE(train.early_stopping.has_value());
  EXPECT_EQ(read("{}", kRegressionInput).value().train.loss, Loss::mse);
}

TEST(Model, ReadsEveryKey) {
  const TrainConfig train = read(R"(
loss: cross_entropy
optimizer: {type: adam, lr: 0.1, beta1: 0.8, beta2: 0.9, epsilon: 1e-6, weight_decay: 0.3}
schedule: {type: cosine, warmup: 1.5, final_factor: 0.01}
batch_size: 64
precision: bf16
gradient_clip: 2
early_stopping: {metric: val_accuracy, patience: 3, min_delta: 0.001}
)")
                                .value()
                                .train;
  EXPECT_EQ(train.optimizer.kind, OptimizerConfig::Kind::adam);
  EXPECT_EQ(train.optimizer.lr, 0.1);
  EXPECT_EQ(train.optimizer.beta1, 0.8);
  EXPECT_EQ(train.optimizer.beta2, 0.9);
  EXPECT_EQ(train.optimizer.epsilon, 1e-6);
  EXPECT_EQ(train.optimizer.weight_decay, 0.3);
  EXPECT_EQ(train.schedule.kind, ScheduleConfig::Kind::cosine);
  EXPECT_EQ(train.schedule.warmup_epochs, 1.5);
  EXPECT_EQ(train.schedule.final_factor, 0.01);
  EXPECT_EQ(train.schedule.total_epochs, 20);
  EXPECT_EQ(train.batch_size, 64);
  EXPECT_EQ(train.precision, Precision::bf16);
  EXPECT_EQ(train.gradient_clip, 2);
  EXPECT_EQ(train.early_stopping->metric, "val_accuracy");
  EXPECT_TRUE(train.early_stopping->maximize);
  EXPECT_EQ(train.early_stopping->patience, 3);
  EXPECT_EQ(train.early_stopping->min_delta, 0.001);
}

TEST(Model, LabelsAreSmoothedForClassificationOnly) {
  EXPECT_EQ(read("label_smoothing: 0.1").value().train.label_smoothing, 0.1);
  EXPECT_EQ(read("label_smoothing: 0", kRegressionInput).value().train.label_smoothing, 0);
  EXPECT_THAT(read("label_smoothing: 0.1", kRegressionInput).error().message,
              StartsWith("exp.yaml:1:18: label_smoothing is for classification"));
}

TEST(Model, EarlyStoppingKnowsWhichMetricsAreErrors) {
  EXPECT_FALSE(read("early_stopping: {metric: val_loss}").value().train.early_stopping->maximize);
  EXPECT_FALSE(
      read("early_stopping: {metric: val_rmse}", kRegressionInput).value().train.early_stopping->maximize);
  EXPECT_TRUE(
      read("early_stopping: {metric: val_r2}", kRegressionInput).value().train.early_stopping->maximize);
}

TEST(Model, OptimizersHaveTheirOwnDefaults) {
  EXPECT_EQ(read("optimizer: adam").value().train.optimizer.lr, 0.001);
  EXPECT_EQ(read("optimizer: adamw").value().train.optimizer.weight_decay, 0.01);
  const auto sgd = read("optimizer: {type: sgd, momentum: 0.9, nesterov: true}").value().train.optimizer;
  EXPECT_EQ(sgd.momentum, 0.9);
  EXPECT_TRUE(sgd.nesterov);
}

TEST(Model, LaneSettingsListTheDropoutRatesInTheOrderOfTheFile) {
  const ModelConfig config =
      try_model("[dropout: 0.1, residual: [dense: 4, dropout: 0.2], dropout: 0.3, dense: 3]", kInput).value();
  const LaneSettings settings = lane_settings(config, 5);
  EXPECT_EQ(settings.seed, 5U);
  EXPECT_THAT(settings.dropout_rates, testing::ElementsAre(0.1, 0.2, 0.3));
}

struct Mistake {
  std::string train;
  std::string message;
};
void PrintTo(const Mistake& mistake, std::ostream* stream) { *stream << mistake.train; }
using TrainMistakes = testing::TestWithParam<Mistake>;

TEST_P(TrainMistakes, AreToldWithPlaceAndRemedy) {
  const auto model = read(GetParam().train);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(model.error().message, StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, TrainMistakes,
    testing::Values(
        Mistake{"epochs: 10", "exp.yaml:1:9: 'epochs' does not belong to train: the scheduler decides"},
        Mistake{"max_epochs: 10", "exp.yaml:1:13: 'max_epochs' does not belong to train"},
        Mistake{"los: mse", "exp.yaml:1:1: "},
        Mistake{"loss: mse", "exp.yaml:1:7: the loss mse does not fit"},
        Mistake{"loss: mean", "exp.yaml:1:7: expected cross_entropy or mse"},
        Mistake{"label_smoothing: 1", "exp.yaml:1:18: expected a number"},
        Mistake{"batch_size: 0", "exp.yaml:1:13: expected an integer"},
        Mistake{"precision: fp16", "exp.yaml:1:12: expected fp32, tf32 or bf16"},
        Mistake{"gradient_clip: 0", "exp.yaml:1:16: expected a number above 0"},
        Mistake{"optimizer: adm", "exp.yaml:1:12: there is no optimizer 'adm' (did you mean 'adam'?)"},
        Mistake{"optimizer: {type: adam, momentum: 0.9}",
                "exp.yaml:1:35: 'momentum' is an option of sgd, not of adam"},
        Mistake{"optimizer: {type: sgd, beta1: 0.9}",
                "exp.yaml:1:31: 'beta1' is an option of adam and adamw"},
        Mistake{"optimizer: {type: sgd, nesterov: true}", "exp.yaml:1:12: nesterov needs a momentum above 0"},
        Mistake{"optimizer: {type: sgd, lr: -1}", "exp.yaml:1:28: expected a number"},
        Mistake{"optimizer: {type: sgd, lrr: 1}", "exp.yaml:1:24: "},
        Mistake{"deterministic: true", "exp.yaml:1:16: unknown deterministic 'true'; expected world"},
        Mistake{"deterministic: {type: world, shards: 6}",
                "exp.yaml:1:38: expected a power of two for 'shards', not 6"},
        Mistake{"{batch_size: 4, deterministic: world}",
                "exp.yaml:1:32: a batch of 4 cannot be cut into 8 shards; give at most 4"},
        Mistake{"schedule: cosin", "exp.yaml:1:11: there is no schedule 'cosin' (did you mean 'cosine'?)"},
        Mistake{"schedule: step", "exp.yaml:1:11: 'epochs' is missing in schedule"},
        Mistake{"early_stopping: {metric: val_acuracy}",
                "exp.yaml:1:26: no metric 'val_acuracy' is reported (did you mean 'val_accuracy'?)"},
        Mistake{"early_stopping: {metric: val_rmse}", "exp.yaml:1:26: no metric 'val_rmse' is reported"}));

TEST(Model, TheOutputMustFitTheData) {
  const auto model = try_model("[dense: 5, relu]", kInput);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(
      model.error().message,
      "exp.yaml:1:20: the network ends with 5 values, but the data has 3 classes; end with `- dense: 3`");
}

TEST(Model, TheOutputOfATextHasAPlaceForEachTokenAtEachPosition) {
  const ModelInput input{.sample_shape = {6}, .outputs = 9, .positions = 6, .tokens = 9};
  EXPECT_TRUE(try_model("[embedding: {vocabulary: 9, units: 4}, dense: 9]", input).ok());
  const auto pooled = try_model("[embedding: {vocabulary: 9, units: 4}, pool_time: last, dense: 9]", input);
  ASSERT_FALSE(pooled.ok());
  EXPECT_THAT(pooled.error().message,
              HasSubstr("the network ends with 9 values, but the data has 9 classes at each of 6 positions; "
                        "end with `- dense: 9`"));
  const auto small = try_model("[embedding: {vocabulary: 8, units: 4}, dense: 9]", input);
  ASSERT_FALSE(small.ok());
  EXPECT_THAT(small.error().message,
              HasSubstr("the data has 9 different tokens, and the embedding only 8; write `vocabulary: 9`"));
}

TEST(Model, AClassifierOfSequencesIsToldToPoolTime) {
  const auto model = try_model("[reshape: [2, 2], lstm: 3, dense: 3]", {.sample_shape = {4}, .outputs = 3});
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message, HasSubstr("end with `- pool_time: last` (or mean) and `- dense: 3`"));
}

TEST(Model, AnEmbeddingIsForTokenNumbersOnly) {
  const auto model = try_model("[embedding: {vocabulary: 9, units: 4}, pool_time: mean, dense: 3]", kInput);
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message,
              HasSubstr("embedding1 reads token numbers, and the data's inputs are not"));
}

TEST(Model, LayersAreRequired) {
  const auto model = read_model(yaml("{}"), yaml("{}"), kInput);
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message, HasSubstr("'layers' is missing in model"));
}

}  // namespace
}  // namespace regatta

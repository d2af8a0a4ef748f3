// What holds for whole engines: lanes do not touch each other, states continue exactly, a trial learns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support.h"

namespace regatta {
namespace {

using testing::HasSubstr;

const LayerCase kMixed{
    "", "[conv: 5, batch_norm, relu, max_pool: 2, dropout: 0.3, dense: 8, relu, dense: 3]", {1, 6, 6}};
constexpr std::int64_t kRows = 8;
const std::string kMomentum = "{optimizer: {type: sgd, lr: 0.05, momentum: 0.9, weight_decay: 0.001}}";

void train_steps(Engine& engine, const LayerCase& layer_case, int first, int count, int lanes = 1) {
  auto sums = metric_sums(layer_case, lanes);
  for (int step = first; step < first + count; ++step) {
    const TestBatch batch = random_batch(layer_case, kRows, static_cast<std::uint64_t>(step));
    ASSERT_TRUE(engine.train(batch.view(), {.sums = sums}).ok());
  }
}

class Continuation : public testing::TestWithParam<std::string> {};

TEST_P(Continuation, OfASavedLaneIsBitForBitTheUninterruptedTraining) {
  const ModelConfig config = model_of(kMixed, GetParam());
  const auto whole = cpu_engine(config, kMixed, kRows);
  whole->start_lane(0, lane_settings(config, 3));
  train_steps(*whole, kMixed, 0, 3);
  const LaneState state = whole->save_lane(0);
  EXPECT_EQ(state.steps, 3);
  train_steps(*whole, kMixed, 3, 3);

  const auto resumed = cpu_engine(config, kMixed, kRows, 2);  // in another lane of another engine
  resumed->start_lane(1, lane_settings(config, 3));
  ASSERT_TRUE(resumed->restore_lane(1, state).ok());
  train_steps(*resumed, kMixed, 3, 3, 2);
  EXPECT_TRUE(same_bits(whole->save_lane(0), resumed->save_lane(1)));
}

INSTANTIATE_TEST_SUITE_P(Optimizers, Continuation,
                         testing::Values(kMomentum, "{optimizer: sgd}",
                                         "{optimizer: adam, gradient_clip: 0.1}",
                                         "{optimizer: {type: adamw, weight_decay: 0.1}}"));

TEST(CpuEngine, RepeatsItselfBitForBit) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  const auto trained = [&](int threads) {
    const auto engine = cpu_engine(config, kMixed, kRows, 1, 0, threads);
    engine->start_lane(0, lane_settings(config, 3));
    train_steps(*engine, kMixed, 0, 5);
    return engine->save_lane(0);
  };
  EXPECT_TRUE(same_bits(trained(1), trained(1)));
  EXPECT_TRUE(same_bits(trained(2), trained(2)));
}

TEST(CpuEngine, LanesOnThreadsOfTheirOwnTrainAsEachWouldAlone) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  constexpr int kLanes = 5;
  const auto engine = cpu_engine(config, kMixed, kRows, kLanes, 0, /*threads=*/2);
  for (const int lane : {0, 1, 3, 4}) {  // the one in the middle stays idle
    engine->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane)));
  }
  train_steps(*engine, kMixed, 0, 4, kLanes);
  for (const int lane : {0, 1, 3, 4}) {
    const auto alone = cpu_engine(config, kMixed, kRows);
    alone->start_lane(0, lane_settings(config, static_cast<std::uint64_t>(lane)));
    train_steps(*alone, kMixed, 0, 4);
    EXPECT_TRUE(same_bits(engine->save_lane(lane), alone->save_lane(0))) << "lane " << lane;
  }
}

TEST(CpuEngine, AFreedLaneStartsAfresh) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  const auto engine = cpu_engine(config, kMixed, kRows, 2);
  engine->start_lane(0, lane_settings(config, 1));
  engine->start_lane(1, lane_settings(config, 2));
  train_steps(*engine, kMixed, 0, 3, 2);
  engine->start_lane(1, lane_settings(config, 9));
  train_steps(*engine, kMixed, 3, 3, 2);

  const auto alone = cpu_engine(config, kMixed, kRows);
  alone->start_lane(0, lane_settings(config, 9));
  train_steps(*alone, kMixed, 3, 3);
  EXPECT_TRUE(same_bits(engine->save_lane(1), alone->save_lane(0)));
}

TEST(CpuEngine, LanesMayDifferInOptimizerAndDropout) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  LaneSettings adam = lane_settings(config, 5);
  adam.optimizer = {.kind = OptimizerConfig::Kind::adam, .lr = 0.002};
  adam.dropout_rates = {0.7};
  const auto both = cpu_engine(config, kMixed, kRows, 2);
  both->start_lane(0, lane_settings(config, 5));
  both->start_lane(1, adam);
  train_steps(*both, kMixed, 0, 3, 2);
  const auto alone = cpu_engine(config, kMixed, kRows);
  alone->start_lane(0, adam);
  train_steps(*alone, kMixed, 0, 3);
  EXPECT_TRUE(same_bits(both->save_lane(1), alone->save_lane(0)));
}

TEST(CpuEngine, ADivergedLaneIsLeftWithNanAndDisturbsNoOther) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  const auto engine = cpu_engine(config, kMixed, kRows, 3);
  const auto alone = cpu_engine(config, kMixed, kRows);
  LaneSettings wild = lane_settings(config, 2);
  wild.optimizer.lr = 1e30;
  engine->start_lane(0, lane_settings(config, 1));
  engine->start_lane(1, wild);
  engine->start_lane(2, lane_settings(config, 3));
  alone->start_lane(0, lane_settings(config, 3));
  train_steps(*engine, kMixed, 0, 4, 3);
  train_steps(*alone, kMixed, 0, 4);
  EXPECT_TRUE(same_bits(engine->save_lane(2), alone->save_lane(0)));
  for (const ParameterSpec& parameter : config.network.parameters) {
    for (const float value : values_of(engine->save_lane(1), parameter.name)) {
      ASSERT_TRUE(std::isnan(value)) << parameter.name;
    }
  }
  auto sums = metric_sums(kMixed, 3);
  const TestBatch batch = random_batch(kMixed, kRows, 77);
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  EXPECT_TRUE(std::isfinite(sums[0].result().front().second));
  EXPECT_TRUE(std::isnan(sums[1].result().front().second));
  EXPECT_TRUE(std::isfinite(sums[2].result().front().second));
}

TEST(CpuEngine, ADivergedLaneCanBeGivenToANewTrial) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  const auto engine = cpu_engine(config, kMixed, kRows);
  const auto fresh = cpu_engine(config, kMixed, kRows);
  LaneSettings wild = lane_settings(config, 2);
  wild.optimizer.lr = 1e30;
  engine->start_lane(0, wild);
  train_steps(*engine, kMixed, 0, 4);
  engine->start_lane(0, lane_settings(config, 3));
  fresh->start_lane(0, lane_settings(config, 3));
  train_steps(*engine, kMixed, 4, 2);
  train_steps(*fresh, kMixed, 4, 2);
  EXPECT_TRUE(same_bits(engine->save_lane(0), fresh->save_lane(0)));
}

TEST(CpuEngine, EmptyLanesAreLeftAlone) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  const auto engine = cpu_engine(config, kMixed, kRows, 2);
  engine->start_lane(1, lane_settings(config, 1));
  auto sums = metric_sums(kMixed, 2);
  const TestBatch batch = random_batch(kMixed, kRows, 1);
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  ASSERT_TRUE(engine->evaluate(batch.view(), sums).ok());
  EXPECT_EQ(sums[0].result(), metric_sums(kMixed).result());
  EXPECT_EQ(engine->save_lane(0).steps, 0);
  for (const float weight : values_of(engine->save_lane(0), "conv1.weight")) {
    ASSERT_EQ(weight, 0);
  }
}

TEST(CpuEngine, LanesThatAreNotSelectedStandStillWhileOthersTrain) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  const auto engine = cpu_engine(config, kMixed, kRows, 3);
  for (int lane = 0; lane < 3; ++lane) {
    engine->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane)));
  }
  auto sums = metric_sums(kMixed, 3);
  const auto train_lanes = [&](std::vector<int> lanes, std::uint64_t first) {
    engine->select_lanes(lanes);
    for (std::uint64_t step = first; step < first + 2; ++step) {
      ASSERT_TRUE(engine->train(random_batch(kMixed, kRows, step).view(), {.sums = sums}).ok());
    }
  };
  train_lanes({0, 2}, 0);
  const LaneState before = engine->save_lane(2);
  EXPECT_EQ(engine->save_lane(1).steps, 0);
  EXPECT_EQ(sums[1].result(), metric_sums(kMixed).result());
  train_lanes({1}, 0);  // comes after, with the batches that the others had
  ASSERT_TRUE(engine->evaluate(random_batch(kMixed, kRows, 9).view(), sums).ok());
  EXPECT_TRUE(same_bits(engine->save_lane(2), before));
  train_lanes({0, 1, 2}, 2);

  for (int lane = 0; lane < 3; ++lane) {
    const auto alone = cpu_engine(config, kMixed, kRows);
    alone->start_lane(0, lane_settings(config, static_cast<std::uint64_t>(lane)));
    train_steps(*alone, kMixed, 0, 4);
    EXPECT_TRUE(same_bits(engine->save_lane(lane), alone->save_lane(0))) << "lane " << lane;
  }
}

TEST(CpuEngine, ClippingLimitsTheLengthOfALanesWholeGradient) {
  const LayerCase layer_case{"", "[dense: 6, relu, dense: 3]", {4}};
  constexpr double kLimit = 0.01;
  const ModelConfig config = model_of(layer_case, "{optimizer: {type: sgd, lr: 1}, gradient_clip: 0.01}");
  const auto engine = cpu_engine(config, layer_case, kRows, 2);
  engine->start_lane(0, lane_settings(config, 1));
  engine->start_lane(1, lane_settings(config, 2));
  const LaneState before = engine->save_lane(1);
  train_steps(*engine, layer_case, 0, 1, 2);
  const LaneState after = engine->save_lane(1);
  double squares = 0;
  for (std::size_t t = 0; t < before.tensors.size(); ++t) {
    for (std::size_t i = 0; i < before.tensors[t].values.size(); ++i) {
      squares += std::pow(static_cast<double>(after.tensors[t].values[i] - before.tensors[t].values[i]), 2);
    }
  }
  EXPECT_NEAR(std::sqrt(squares), kLimit, 1e-5);
}

TEST(CpuEngine, ScheduleMovesTheLearningRate) {
  const LayerCase layer_case{"", "[dense: 3]", {4}};
  const ModelConfig config = model_of(layer_case, "{schedule: {type: constant, warmup: 2}}");
  const auto moved = [&](double epoch) {
    const auto engine = cpu_engine(config, layer_case, kRows);
    engine->start_lane(0, lane_settings(config, 1));
    auto sums = metric_sums(layer_case, 1);
    const float before = values_of(engine->save_lane(0), "dense1.weight")[0];
    EXPECT_TRUE(
        engine->train(random_batch(layer_case, kRows, 1).view(), {.epoch = epoch, .sums = sums}).ok());
    return values_of(engine->save_lane(0), "dense1.weight")[0] - before;
  };
  EXPECT_EQ(moved(0), 0);
  EXPECT_NEAR(moved(1) / moved(2), 0.5, 1e-3);
}

TEST(CpuEngine, RunningStatisticsFollowPyTorchs) {
  const LayerCase layer_case{"", "[batch_norm, dense: 3]", {2}};
  const ModelConfig config = model_of(layer_case);
  const auto engine = cpu_engine(config, layer_case, 3);
  engine->start_lane(0, lane_settings(config, 1));
  TestBatch batch = random_batch(layer_case, 3, 1);
  // A mean that dwarfs the spread: sums of squares would lose the variance.
  batch.inputs = {10001, 1, 10002, 2, 10003, 6};
  auto sums = metric_sums(layer_case, 1);
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  const LaneState state = engine->save_lane(0);
  EXPECT_FLOAT_EQ(values_of(state, "batch_norm1.running_mean")[0], 1000.2F);
  EXPECT_FLOAT_EQ(values_of(state, "batch_norm1.running_mean")[1], 0.3F);
  EXPECT_FLOAT_EQ(values_of(state, "batch_norm1.running_var")[0], 0.9F + 0.1F * 1);
  EXPECT_FLOAT_EQ(values_of(state, "batch_norm1.running_var")[1], 0.9F + 0.1F * 7);
}

TEST(CpuEngine, AStateThatDoesNotFitIsRefused) {
  const ModelConfig config = model_of(kMixed, kMomentum);
  const auto engine = cpu_engine(config, kMixed, kRows);
  engine->start_lane(0, lane_settings(config, 1));
  const LaneState good = engine->save_lane(0);
  const auto message_for = [&](const LaneState& state) {
    const Status status = engine->restore_lane(0, state);
    EXPECT_FALSE(status.ok());
    return status.ok() ? "" : status.error().message;
  };
  LaneState bad = good;
  bad.tensors.pop_back();
  EXPECT_THAT(message_for(bad), HasSubstr("has no 'batch_norm1.running_var'"));
  bad = good;
  bad.tensors.push_back({.name = "extra", .shape = {1}, .values = {0}});
  EXPECT_THAT(message_for(bad), HasSubstr("has 'extra', which this network has not"));
  bad = good;
  bad.tensors.push_back(good.tensors.front());
  EXPECT_THAT(message_for(bad), HasSubstr("twice"));
  bad = good;
  bad.tensors.front().shape = {1};
  EXPECT_THAT(message_for(bad), HasSubstr("of the saved state is 1"));
  bad = good;
  bad.tensors.front().values.pop_back();
  EXPECT_THAT(message_for(bad), HasSubstr("of the saved state"));
  bad = good;
  std::erase_if(bad.tensors,
                [](const NamedTensor& t) { return t.name == "optimizer.momentum.conv1.weight"; });
  EXPECT_THAT(message_for(bad), HasSubstr("has no 'optimizer.momentum.conv1.weight'"));
  EXPECT_TRUE(same_bits(engine->save_lane(0), good));
  EXPECT_TRUE(engine->restore_lane(0, good).ok());
}

TEST(CpuEngine, ATrialMayGoOnWithAnotherOptimizer) {
  const ModelConfig sgd = model_of(kMixed, kMomentum);
  const ModelConfig adam = model_of(kMixed, "{optimizer: adam}");
  const auto before = cpu_engine(sgd, kMixed, kRows);
  before->start_lane(0, lane_settings(sgd, 1));
  train_steps(*before, kMixed, 0, 2);
  const LaneState state = before->save_lane(0);
  const auto after = cpu_engine(adam, kMixed, kRows);
  after->start_lane(0, lane_settings(adam, 1));
  ASSERT_TRUE(after->restore_lane(0, state).ok());
  const LaneState changed = after->save_lane(0);
  EXPECT_EQ(changed.steps, 0);
  EXPECT_EQ(values_of(changed, "conv1.weight"), values_of(state, "conv1.weight"));
  EXPECT_EQ(values_of(changed, "batch_norm1.running_mean"), values_of(state, "batch_norm1.running_mean"));
  EXPECT_EQ(values_of(changed, "optimizer.second_moment.dense2.bias"), std::vector<float>(3));
}

TEST(CpuEngine, ATokenOutsideOfTheVocabularyIsAnErrorThatNamesIt) {
  const LayerCase layer_case{
      "", "[embedding: {vocabulary: 5, units: 4}, pool_time: mean, dense: 3]", {4}, 3, true, 1, 5};
  const ModelConfig config = model_of(layer_case);
  const auto engine = cpu_engine(config, layer_case, kRows);
  engine->start_lane(0, lane_settings(config, 1));
  auto sums = metric_sums(layer_case, 1);
  for (const float token : {5.0F, -1.0F, 1.5F, NAN, 1e30F}) {
    TestBatch batch = random_batch(layer_case, kRows, 1);
    batch.inputs[6] = token;
    const Status status = engine->train(batch.view(), {.sums = sums});
    ASSERT_FALSE(status.ok());
    EXPECT_THAT(status.error().message, HasSubstr("embedding1 was given "));
    EXPECT_THAT(status.error().message, HasSubstr("from 0 to 4"));
  }
}

TEST(CpuEngine, LearnsToTellShapesApart) {
  // Bright top, bright left, bright middle, under noise.
  const LayerCase layer_case{
      "", "[conv: 8, batch_norm, relu, max_pool: 2, dense: 16, relu, dense: 3]", {1, 8, 8}};
  const ModelConfig config = model_of(layer_case, "{optimizer: {type: adam, lr: 0.005}}");
  const auto engine = cpu_engine(config, layer_case, 32);
  engine->start_lane(0, lane_settings(config, 1));
  const auto batch_of = [&](std::uint64_t seed) {
    TestBatch batch = random_batch(layer_case, 32, seed);
    for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
      const std::size_t row = i / 8 % 8;
      const std::size_t column = i % 8;
      const std::int32_t label = batch.labels[i / 64];
      const bool bright = label == 0 ? row < 3 : label == 1 ? column < 3 : row > 2 && row < 6 && column > 2;
      batch.inputs[i] += bright ? 1.0F : 0.0F;
    }
    return batch;
  };
  auto sums = metric_sums(layer_case, 1);
  for (std::uint64_t step = 0; step < 60; ++step) {
    ASSERT_TRUE(engine->train(batch_of(step).view(), {.sums = sums}).ok());
  }
  sums[0].clear();
  ASSERT_TRUE(engine->evaluate(batch_of(1000).view(), sums).ok());
  EXPECT_GT(sums[0].result()[1].second, 0.9);
}

}  // namespace
}  // namespace regatta

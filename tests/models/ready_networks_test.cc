// Networks with a name: their sizes as published, and that they learn.
#include "models/ready_networks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace regatta {
namespace {

using testing::StartsWith;

const ModelInput kCifar{.sample_shape = {3, 32, 32}, .outputs = 10};
const ModelInput kFashion{.sample_shape = {1, 28, 28}, .outputs = 10};
const ModelInput kTable{.sample_shape = {13}, .outputs = 3};
const ModelInput kNumbers{.sample_shape = {13}, .classification = false, .outputs = 2};

Result<ModelConfig> read(const std::string& model, const ModelInput& input, const std::string& train = "{}") {
  return read_model(yaml(model), yaml(train), input);
}
std::int64_t parameters(const std::string& model, const ModelInput& input) {
  return read(model, input).value().network.parameter_count;
}
std::string mistake(const std::string& model, const ModelInput& input) {
  const auto config = read(model, input);
  return config.ok() ? "no mistake" : config.error().message;
}

TEST(ReadyNetworks, HaveTheSizesOfTheirPapers) {
  EXPECT_EQ(parameters("{type: resnet, depth: 20}", kCifar), 272'474);  // He et al.: 0.27 million
  EXPECT_EQ(parameters("{type: resnet, depth: 56}", kCifar), 855'770);  // He et al.: 0.85 million
  EXPECT_EQ(parameters("lenet", kFashion), 61'706);
  EXPECT_EQ(parameters("lenet", {.sample_shape = {1, 32, 32}, .outputs = 10}), 61'706);
}

TEST(ReadyNetworks, EndWithWhatTheDataAsksFor) {
  EXPECT_EQ(parameters("logistic", kTable), 13 * 3 + 3);
  EXPECT_EQ(parameters("logistic", kFashion), 784 * 10 + 10);
  EXPECT_EQ(parameters("linear", kNumbers), 13 * 2 + 2);
  EXPECT_EQ(parameters("{type: mlp, layers: 2, width: 5}", kNumbers), 13 * 5 + 5 + 5 * 5 + 5 + 5 * 2 + 2);
  EXPECT_EQ(read("resnet", {.sample_shape = {1, 9, 9}, .classification = false, .outputs = 4})
                .value()
                .network.output,
            Shape{4});
}

TEST(ReadyNetworks, OfSequencesFitTextsAndImages) {
  const ModelInput text{.sample_shape = {64}, .outputs = 65, .positions = 64, .tokens = 65};
  // Embeddings, blocks of attention and of two dense layers with their norms, the last norm and dense layer.
  EXPECT_EQ(parameters("{type: gpt, depth: 3, width: 32, heads: 2}", text),
            (65 + 64) * 32 + 3 * (4 * 32 * 33 + 128 * 33 + 32 * 129 + 4 * 32) + 64 + 65 * 33);
  EXPECT_EQ(parameters("{type: lstm, width: 8}", text), 65 * 8 + 4 * 8 * (8 + 8 + 2) + 65 * 9);
  EXPECT_EQ(parameters("{type: lstm, width: 8, layers: 2, dropout: 0.2}", kFashion),
            4 * 8 * (28 + 8 + 2) + 4 * 8 * (8 + 8 + 2) + 10 * 9);
  EXPECT_THAT(mistake("gpt", kFashion), StartsWith("exp.yaml:1:1: gpt continues texts"));
  EXPECT_THAT(mistake("lstm", kTable), StartsWith("exp.yaml:1:1: lstm reads texts, sequences and images"));
  EXPECT_THAT(mistake("{type: gpt, heads: 3}", text), testing::HasSubstr("cannot be divided among 3 heads"));
}

TEST(ReadyNetworks, ExpandToLayersWithNamesOfTheirOwn) {
  const Network mlp =
      read("{type: mlp, layers: 1, width: 5, dropout: 0.3, batch_norm: true}", kTable).value().network;
  std::vector<std::string> names;
  for (const PlannedLayer& row : mlp.summary) {
    names.push_back(row.layer.name);
  }
  EXPECT_THAT(names, testing::ElementsAre("dense1", "batch_norm1", "relu1", "dropout1", "dense2"));
  const Network resnet = read("{type: resnet, depth: 8, width: 4}", kFashion).value().network;
  names.clear();
  for (const PlannedLayer& row : resnet.summary) {
    names.push_back(row.layer.name + " " + describe(row.output));
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"conv1 4×28×28", "residual1.conv2 4×28×28", "residual1 4×28×28",
                                            "residual2.shortcut.conv1 8×14×14", "residual3 16×7×7",
                                            "global_pool1 16", "dense1 10"}));
}

TEST(ReadyNetworks, MistakesAreToldWithPlaceAndRemedy) {
  EXPECT_THAT(mistake("resent", kFashion),
              StartsWith("exp.yaml:1:1: there is no ready network 'resent' (did you mean 'resnet'?)"));
  EXPECT_THAT(
      mistake("{type: resnet, depth: 21}", kFashion),
      StartsWith("exp.yaml:1:23: a resnet has 6n + 2 layers (8, 14, 20, 32, 44, 56, 110, …), not 21; the "
                 "nearest is 20"));
  EXPECT_THAT(mistake("{type: resnet, dept: 20}", kFashion),
              StartsWith("exp.yaml:1:16: unknown key 'dept' in resnet"));
  EXPECT_THAT(mistake("{type: resnet, layers: []}", kFashion),
              StartsWith("exp.yaml:1:16: unknown key 'layers' in resnet"));
  EXPECT_THAT(mistake("{type: resnet}", kTable), StartsWith("exp.yaml:1:8: conv1 needs an image"));
  EXPECT_THAT(mistake("{type: lenet}", kTable), StartsWith("exp.yaml:1:8: conv1 needs an image"));
  EXPECT_THAT(mistake("logistic", kNumbers), StartsWith("exp.yaml:1:1: logistic regression is for"));
  EXPECT_THAT(mistake("linear", kTable), StartsWith("exp.yaml:1:1: linear regression predicts"));
  EXPECT_THAT(mistake("{type: mlp, width: 0}", kTable), StartsWith("exp.yaml:1:20: expected an integer"));
}

struct LearningCase {
  std::string model;
  ModelInput input;
};
void PrintTo(const LearningCase& learning, std::ostream* stream) { *stream << learning.model; }
using LearningNetworks = testing::TestWithParam<LearningCase>;

TEST_P(LearningNetworks, FitABatch) {
  const auto& [model, input] = GetParam();
  const LayerCase shapes{"", "", input.sample_shape, input.outputs, input.classification};
  const ModelConfig config = read(model, input, "{optimizer: {type: adam, lr: 0.01}}").value();
  const auto engine = cpu_engine(config, shapes, 8);
  engine->start_lane(0, lane_settings(config, 1));
  const TestBatch batch = random_batch(shapes, 8, 1);
  std::vector<double> losses;
  for (int step = 0; step < 60; ++step) {
    auto sums = metric_sums(shapes, 1);
    ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
    losses.push_back(sums[0].result().front().second);
  }
  EXPECT_LT(losses.back(), 0.6 * losses.front());
}

INSTANTIATE_TEST_SUITE_P(All, LearningNetworks,
                         testing::Values(LearningCase{"logistic", kTable}, LearningCase{"linear", kNumbers},
                                         LearningCase{"{type: mlp, width: 32}", kTable},
                                         LearningCase{"lenet", kFashion},
                                         LearningCase{"{type: resnet, depth: 8, width: 4}", kFashion}));

}  // namespace
}  // namespace regatta

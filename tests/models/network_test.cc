// Shapes, names, the order of the flat buffer, and the places of mistakes.
#include "models/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace regatta {
namespace {

using testing::ElementsAre;

Result<Network> plan(const std::string& layers, const Shape& input) {
  const auto read = read_layers(yaml(layers));
  return read.ok() ? plan_network(*read, input) : Result<Network>(read.error());
}

// "conv1 8×5×5" for every layer.
std::vector<std::string> rows(const Network& network) {
  std::vector<std::string> result;
  for (const PlannedLayer& row : network.summary) {
    result.push_back(std::string(static_cast<std::size_t>(row.depth), ' ') + row.layer.name + " " +
                     describe(row.output) + " " + std::to_string(row.parameter_count));
  }
  return result;
}

TEST(Network, InfersEveryShape) {
  const Network network =
      plan(
          "[conv: {filters: 8, kernel: 5, padding: valid}, relu, max_pool: 2, conv: 16, "
          "average_pool: {size: 3, stride: 1}, flatten, dropout: 0.5, batch_norm, dense: 10]",
          {3, 14, 15})
          .value();
  EXPECT_THAT(rows(network), ElementsAre("conv1 8×10×11 608", "relu1 8×10×11 0", "max_pool1 8×5×5 0",
                                         "conv2 16×5×5 1168", "average_pool1 16×3×3 0", "flatten1 144 0",
                                         "dropout1 144 0", "batch_norm1 144 288", "dense1 10 1450"));
  EXPECT_EQ(network.output, Shape{10});
  EXPECT_EQ(network.parameter_count, 608 + 1168 + 288 + 1450);
  EXPECT_EQ(network.buffer_count, 288);
}

TEST(Network, ConvolutionSizesFollowStrideAndPadding) {
  struct Case {
    std::string options;
    Shape output;
  };
  const std::vector<Case> cases = {
      {"{filters: 2}", {2, 7, 9}},
      {"{filters: 2, padding: valid}", {2, 5, 7}},
      {"{filters: 2, kernel: 5, padding: 1}", {2, 5, 7}},
      {"{filters: 2, stride: 2}", {2, 4, 5}},
      {"{filters: 2, kernel: 1, stride: 3}", {2, 3, 3}},
      {"{filters: 2, kernel: 7, padding: 0}", {2, 1, 3}},
      {"5", {5, 7, 9}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(plan("[conv: " + c.options + "]", {1, 7, 9}).value().output, c.output) << c.options;
  }
}

TEST(Network, DenseLayersServeEachPositionOfASequence) {
  const Network network =
      plan("[reshape: [4, 6], dense: 5, gelu, residual: [dense: 7], batch_norm, pool_time: mean, dense: 3]",
           {1, 4, 6})
          .value();
  EXPECT_THAT(rows(network), ElementsAre("reshape1 4×6 0", "dense1 4×5 35", "gelu1 4×5 0", "residual1 4×7 0",
                                         " residual1.dense1 4×7 42", " residual1.shortcut.dense1 4×7 42",
                                         "batch_norm1 4×7 14", "pool_time1 7 0", "dense2 3 24"));
}

TEST(Network, LayersOfSequencesHavePyTorchsNamesAndShapes) {
  const Network network =
      plan(
          "[embedding: {vocabulary: 9, units: 8}, position_embedding, layer_norm, attention: 2, lstm: 5, "
          "gru: 3, conv1d: {filters: 4, kernel: 5, stride: 2}]",
          {7})
          .value();
  std::vector<std::string> parameters;
  for (const ParameterSpec& parameter : network.parameters) {
    parameters.push_back(parameter.name + " " + describe(parameter.shape) +
                         (parameter.decays ? " decays" : ""));
  }
  EXPECT_THAT(
      parameters,
      ElementsAre("conv1d1.weight 4×3×5 decays", "conv1d1.bias 4", "gru1.weight_ih_l0 9×5 decays",
                  "gru1.weight_hh_l0 9×3 decays", "gru1.bias_ih_l0 9", "gru1.bias_hh_l0 9",
                  "lstm1.weight_ih_l0 20×8 decays", "lstm1.weight_hh_l0 20×5 decays", "lstm1.bias_ih_l0 20",
                  "lstm1.bias_hh_l0 20", "attention1.in_proj_weight 24×8 decays",
                  "attention1.in_proj_bias 24", "attention1.out_proj.weight 8×8 decays",
                  "attention1.out_proj.bias 8", "layer_norm1.weight 8", "layer_norm1.bias 8",
                  "position_embedding1.weight 7×8 decays", "embedding1.weight 9×8 decays"));
  EXPECT_EQ(network.output, (Shape{4, 4}));
}

TEST(Network, RepeatStandsForItsLayersSoManyTimes) {
  const Network network =
      plan("[repeat: {times: 2, layers: [dense: 4, relu, residual: [dense: 4]]}, dense: 3]", {4}).value();
  EXPECT_THAT(rows(network), ElementsAre("dense1 4 20", "relu1 4 0", "residual1 4 0",
                                         " residual1.dense1 4 20", "dense2 4 20", "relu2 4 0",
                                         "residual2 4 0", " residual2.dense1 4 20", "dense3 3 15"));
}

TEST(Network, ParametersStandInTheOrderInWhichBackwardFinishesThem) {
  const Network network =
      plan("[conv: 2, batch_norm, residual: [conv: 3, batch_norm], dense: {units: 4, bias: false}]",
           {1, 4, 4})
          .value();
  std::vector<std::string> names;
  std::int64_t end = 0;
  for (const ParameterSpec& parameter : network.parameters) {
    names.push_back(parameter.name);
    EXPECT_EQ(parameter.offset, end);
    EXPECT_EQ(parameter.size, element_count(parameter.shape));
    const bool matrix = parameter.shape.size() > 1;
    EXPECT_EQ(parameter.decays, matrix) << parameter.name;
    end += parameter.size;
  }
  EXPECT_EQ(end, network.parameter_count);
  EXPECT_THAT(names, ElementsAre("dense1.weight", "residual1.shortcut.batch_norm1.weight",
                                 "residual1.shortcut.batch_norm1.bias", "residual1.shortcut.conv1.weight",
                                 "residual1.batch_norm1.weight", "residual1.batch_norm1.bias",
                                 "residual1.conv1.weight", "residual1.conv1.bias", "batch_norm1.weight",
                                 "batch_norm1.bias", "conv1.weight", "conv1.bias"));
}

TEST(Network, WeightsHavePyTorchsShapes) {
  const Network network = plan("[conv: {filters: 6, kernel: 5}, dense: 4]", {2, 3, 3}).value();
  EXPECT_EQ(network.parameters[0].shape, (Shape{4, 54}));
  EXPECT_EQ(network.parameters[2].shape, (Shape{6, 2, 5, 5}));
  EXPECT_EQ(network.parameters[3].shape, Shape{6});
}

TEST(Network, GroupedWeightsHaveTheChannelsOfOneGroup) {
  const Network network =
      plan("[conv: {filters: 6, groups: 2}, depthwise: {kernel: 5, multiplier: 3}, global_pool, dense: 2]",
           {4, 7, 7})
          .value();
  EXPECT_THAT(rows(network),
              ElementsAre("conv1 6×7×7 114", "depthwise1 18×7×7 468", "global_pool1 18 0", "dense1 2 38"));
  EXPECT_EQ(network.parameters[2].shape, (Shape{18, 1, 5, 5}));
  EXPECT_EQ(network.parameters[2].fan_in, 25);
  EXPECT_EQ(network.parameters[2].fan_out, 75);
  EXPECT_EQ(network.parameters[4].shape, (Shape{6, 2, 3, 3}));
  EXPECT_EQ(network.parameters[4].fan_in, 18);
  EXPECT_EQ(network.parameters[4].fan_out, 27);
}

TEST(Network, WeightsBeforeAReluAreInitialisedForIt) {
  const Network network =
      plan("[conv: 2, batch_norm, max_pool: 2, relu, dense: 4, relu, dense: 3]", {1, 4, 4}).value();
  EXPECT_EQ(network.parameters[0].name, "dense2.weight");
  EXPECT_EQ(network.parameters[0].initializer, Initializer::glorot_uniform);
  EXPECT_EQ(network.parameters[2].initializer, Initializer::he_uniform);
  EXPECT_EQ(network.parameters[2].fan_in, 8);
  EXPECT_EQ(network.parameters[2].fan_out, 4);
  EXPECT_EQ(network.parameters[6].name, "conv1.weight");
  EXPECT_EQ(network.parameters[6].initializer, Initializer::he_uniform);
  EXPECT_EQ(network.parameters[6].fan_in, 9);
  EXPECT_EQ(network.parameters[6].fan_out, 18);
}

TEST(Network, ShortcutsAreFoundFromTheShapes) {
  const Network same = plan("[residual: [conv: 1]]", {1, 4, 4}).value();
  EXPECT_TRUE(std::get<Residual>(same.layers[0].what).shortcut.empty());
  const Network strided =
      plan("[residual: {layers: [conv: {filters: 2, stride: 2}, batch_norm]}]", {1, 5, 5}).value();
  EXPECT_THAT(rows(strided),
              ElementsAre("residual1 2×3×3 0", " residual1.conv1 2×3×3 20", " residual1.batch_norm1 2×3×3 4",
                          " residual1.shortcut.conv1 2×3×3 2", " residual1.shortcut.batch_norm1 2×3×3 4"));
  const Network features = plan("[residual: [dense: 7]]", {4}).value();
  EXPECT_EQ(rows(features).back(), " residual1.shortcut.dense1 7 35");
}

struct Mistake {
  std::string yaml;
  Shape input;
  std::string message;
};
void PrintTo(const Mistake& mistake, std::ostream* stream) { *stream << mistake.yaml; }

using NetworkMistakes = testing::TestWithParam<Mistake>;

TEST_P(NetworkMistakes, AreToldWithPlaceAndRemedy) {
  const auto network = plan(GetParam().yaml, GetParam().input);
  ASSERT_FALSE(network.ok());
  EXPECT_EQ(network.error().kind, Error::Kind::user_mistake);
  EXPECT_THAT(network.error().message, testing::StartsWith(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, NetworkMistakes,
    testing::Values(
        Mistake{"- relu\n- convv: 3", {4}, "exp.yaml:2:3: there is no layer 'convv' (did you mean 'conv'?)"},
        Mistake{"- dens", {4}, "exp.yaml:1:3: there is no layer 'dens' (did you mean 'dense'?)"},
        Mistake{"- dense: {unit: 3}", {4}, "exp.yaml:1:11: "},
        Mistake{"- dense", {4}, "exp.yaml:1:3: 'units' is missing in dense"},
        Mistake{"- dense: 0", {4}, "exp.yaml:1:10: expected an integer from 1 to 1000000 for 'units', not 0"},
        Mistake{"- dense: many", {4}, "exp.yaml:1:10: expected an integer"},
        Mistake{"- relu: 3", {4}, "exp.yaml:1:9: this layer has no options"},
        Mistake{"- dropout: 1", {4}, "exp.yaml:1:12: expected a number"},
        Mistake{"- dense: 3\n  relu:",
                {4},
                "exp.yaml:1:3: expected a layer, such as `- relu` or `- dense: 128`, not a map "
                "of several keys"},
        Mistake{"- [relu]", {4}, "exp.yaml:1:3: expected a layer"},
        Mistake{"[]", {4}, "exp.yaml:1:1: expected a list of layers, not an empty list"},
        Mistake{"relu", {4}, "exp.yaml:1:1: expected a list of layers, not "},
        Mistake{"- conv: 3", {4}, "exp.yaml:1:3: conv1 needs an image"},
        Mistake{"- max_pool: 5",
                {1, 4, 9},
                "exp.yaml:1:3: max_pool1: the window 5×5 is larger than the input 4×9"},
        Mistake{"- conv: {filters: 1, kernel: 7, padding: 1}",
                {1, 4, 4},
                "exp.yaml:1:3: conv1: the window 7×7 is larger than the input 4×4 with padding 1"},
        Mistake{
            "- conv: {filters: 1, kernel: 4}", {1, 4, 4}, "exp.yaml:1:9: padding `same` needs an odd kernel"},
        Mistake{"- conv: {filters: 1, kernel: 3, padding: 3}",
                {1, 4, 4},
                "exp.yaml:1:42: padding must be from 0 to 2"},
        Mistake{"- conv: {filters: 1, padding: some}",
                {1, 4, 4},
                "exp.yaml:1:31: expected `same`, `valid` or a number"},
        Mistake{"- conv: {filters: 6, groups: 4}",
                {4, 4, 4},
                "exp.yaml:1:30: 6 filters cannot be split into 4 groups"},
        Mistake{"- conv: {filters: 6, groups: 3}",
                {4, 4, 4},
                "exp.yaml:1:3: conv1: the 4 channels of its input cannot be split into 3 groups"},
        Mistake{"- depthwise: {filters: 6}", {4, 4, 4}, "exp.yaml:1:15: unknown key 'filters' in depthwise"},
        Mistake{"- depthwise", {4}, "exp.yaml:1:3: depthwise1 needs an image"},
        Mistake{"- global_pool: mean", {4, 4, 4}, "exp.yaml:1:16: expected average or max"},
        Mistake{"- global_pool", {4}, "exp.yaml:1:3: global_pool1 needs an image"},
        Mistake{"- residual: []", {4}, "exp.yaml:1:13: expected a list of layers, not an empty list"},
        Mistake{"- residual: {body: []}", {4}, "exp.yaml:1:14: unknown key 'body' in residual"},
        Mistake{"- reshape: [3, 3]",
                {10},
                "exp.yaml:1:3: reshape1: the shape 3×3 has 9 values, and the input 10 has 10"},
        Mistake{"- reshape: 3", {3}, "exp.yaml:1:12: expected the sizes of the new shape"},
        Mistake{"- reshape: [0, 3]", {3}, "exp.yaml:1:13: expected a size from 1"},
        Mistake{"- pool_time: last", {3}, "exp.yaml:1:3: pool_time1 needs a sequence"},
        Mistake{"- pool_time: first", {3, 2}, "exp.yaml:1:14: expected last or mean"},
        Mistake{"- layer_norm", {1, 2, 2}, "exp.yaml:1:3: layer_norm1 needs features or a sequence"},
        Mistake{
            "- attention: 2", {4, 5}, "exp.yaml:1:3: attention1: 5 features cannot be divided among 2 heads"},
        Mistake{"- attention: {causal: true}", {4, 4}, "exp.yaml:1:14: 'heads' is missing in attention"},
        Mistake{"- lstm: 4",
                {4},
                "exp.yaml:1:3: lstm1 needs a sequence (positions × features), and its input is 4; put "
                "`reshape: [positions, features]` before it"},
        Mistake{"- embedding: {vocabulary: 3, units: 2}",
                {4, 4},
                "exp.yaml:1:3: embedding1 needs a row of token numbers"},
        Mistake{"- dense: 4\n- embedding: {vocabulary: 3, units: 2}",
                {4},
                "exp.yaml:2:3: embedding1 reads token numbers, which other layers do not leave as they are; "
                "put it first"},
        Mistake{"- conv1d: {filters: 2, kernel: 5, padding: valid}",
                {4, 4},
                "exp.yaml:1:3: conv1d1: the window of 5 is longer than the input of 4 positions"},
        Mistake{"- conv1d: {filters: 2, kernel: 3, causal: true, padding: same}",
                {4, 4},
                "exp.yaml:1:58: `causal` already says where the zeros go"},
        Mistake{"- repeat: {times: 0, layers: [relu]}", {3}, "exp.yaml:1:19: expected an integer from 1"},
        Mistake{"- repeat: {layers: [relu]}", {3}, "exp.yaml:1:11: 'times' is missing in repeat"},
        Mistake{"- repeat: {times: 2}", {3}, "exp.yaml:1:11: 'layers' is missing in repeat"},
        Mistake{"- repeat:\n    times: 101\n    layers: [{repeat: {times: 100, layers: [relu]}}]",
                {3},
                "exp.yaml:2:5: these are more than 10000 layers"},
        Mistake{"- residual: [flatten]", {1, 2, 2}, "exp.yaml:1:3: residual1: the body makes 4 of 1×2×2"},
        Mistake{"- residual: [conv: {filters: 1, kernel: 3, padding: valid}]",
                {1, 8, 8},
                "exp.yaml:1:3: residual1: no stride of a 1×1 convolution takes the input 1×8×8"},
        Mistake{"- relu\n- residual:\n  - relu\n  - conv: 3",
                {4},
                "exp.yaml:4:5: residual1.conv1 needs an image"}));

}  // namespace
}  // namespace regatta

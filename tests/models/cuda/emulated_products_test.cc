// A library of products that lacks what usually comes along with them: our own kernels do it then. On the
// emulated device only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "emulated_cuda/emulator.h"
#include "emulated_cuda/matmul.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "support.h"

namespace regatta {
namespace {

using Ending = cuda::MatmulShape::Ending;

constexpr std::int64_t kRows = 6;

// The gradients of a step, and how many nodes it had.
struct Trained {
  std::vector<float> gradients;
  std::vector<double> sums;
  std::size_t nodes = 0;
};

Trained train(const LayerCase& layer_case, int lanes, const std::string& precision,
              std::set<Ending> refused) {
  refuse_endings(std::move(refused));
  const ModelConfig config =
      model_of(layer_case, "{optimizer: {type: sgd, lr: 0}, precision: " + precision + "}");
  const auto engine =
      cuda::make_cuda_engine(config, {.batch_capacity = kRows, .global_batch = kRows, .lanes = lanes}, {})
          .value();
  refuse_endings({});
  for (int lane = 0; lane < lanes; ++lane) {
    engine->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane + 1)));
  }
  auto sums = metric_sums(layer_case, lanes);
  EXPECT_TRUE(engine->train(random_batch(layer_case, kRows, 3).view(), {.sums = sums}).ok());
  EXPECT_TRUE(engine->finish().ok());
  Trained trained{.nodes = last_graph().nodes.size()};
  trained.gradients.assign(engine->gradients().begin(), engine->gradients().end());
  for (MetricSums& of_lane : sums) {
    trained.sums.insert(trained.sums.end(), of_lane.sums().begin(), of_lane.sums().end());
  }
  return trained;
}

const LayerCase kPerceptron{"Perceptron", "[dense: 128, relu, dense: 256, relu, dense: 3]", {5}};
const LayerCase kLstm{"Lstm", "[lstm: 6, relu, dense: 3]", {5, 4}, 3, true, 5};

TEST(EmulatedProducts, RefuseWhatTheLibrarysDocumentationRefuses) {
  const auto context = cuda::make_matmul_context().value();
  const auto is_planned = [&](const cuda::MatmulShape& shape) { return plan_matmul(*context, shape).ok(); };
  const cuda::MatmulShape masked{.m = 4, .n = 130, .k = 3, .ending = Ending::masked, .mask_row = 256};
  EXPECT_TRUE(is_planned(masked));
  for (const std::int64_t row : {130, 192, 128}) {  // no multiple of 128, or shorter than a row
    cuda::MatmulShape shape = masked;
    shape.mask_row = row;
    EXPECT_FALSE(is_planned(shape)) << row;
    shape.ending = Ending::bias_relu_mask;
    EXPECT_FALSE(is_planned(shape)) << row;
  }
  cuda::MatmulShape shape = masked;
  shape.k = 1;
  EXPECT_FALSE(is_planned(shape));
  EXPECT_FALSE(
      is_planned({.m = 4, .n = 4, .k = 4, .output = ElementType::bf16, .ending = Ending::sums_of_a}));
}

struct RefusedCase {
  std::string name;
  LayerCase network;
  std::set<Ending> refused;
  std::size_t more_nodes;  // than with a library that has everything
  int lanes = 1;
};

class RefusedEndings : public testing::TestWithParam<std::tuple<RefusedCase, std::string>> {};

TEST_P(RefusedEndings, AreMadeUpForByKernelsOfOurOwn) {
  const auto& [refused, precision] = GetParam();
  const Trained expected = train(refused.network, refused.lanes, precision, {});
  const Trained computed = train(refused.network, refused.lanes, precision, refused.refused);
  EXPECT_EQ(computed.nodes, expected.nodes + refused.more_nodes);
  const double tolerance = precision == "fp32" ? 1e-6 : 2e-2;
  ASSERT_EQ(computed.gradients.size(), expected.gradients.size());
  for (std::size_t i = 0; i < expected.gradients.size(); ++i) {
    ASSERT_NEAR(computed.gradients[i], expected.gradients[i], tolerance) << i;
  }
  for (std::size_t i = 0; i < expected.sums.size(); ++i) {
    ASSERT_NEAR(computed.sums[i], expected.sums[i], tolerance * (1 + std::abs(expected.sums[i]))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    , RefusedEndings,
    testing::Combine(
        testing::Values(RefusedCase{"Bias", kPerceptron, {Ending::bias}, 1},
                        RefusedCase{
                            "BiasAndRelu", kPerceptron, {Ending::bias_relu, Ending::bias_relu_mask}, 4},
                        RefusedCase{"BiasAndReluOfLanes", kPerceptron, {Ending::bias_relu}, 2, 2},
                        RefusedCase{"WritingMasks", kPerceptron, {Ending::bias_relu_mask}, 2},
                        RefusedCase{"ReadingMasks", kPerceptron, {Ending::masked}, 2},
                        RefusedCase{"Sums", kPerceptron, {Ending::sums_of_a}, 3},
                        RefusedCase{"SumsOfLanes", kPerceptron, {Ending::sums_of_a}, 3, 2},
                        RefusedCase{"SumsOfARecurrentLayer", kLstm, {Ending::sums_of_a}, 3, 2},
                        RefusedCase{"Everything",
                                    kPerceptron,
                                    {Ending::bias, Ending::bias_relu, Ending::bias_relu_mask, Ending::masked,
                                     Ending::sums_of_a},
                                    8}),
        testing::Values("fp32", "bf16")),
    [](const auto& test) { return std::get<0>(test.param).name + "In" + std::get<1>(test.param); });

// The weights' gradients of a network's dense layers, by the number of their elements.
std::map<std::int64_t, Ending> weight_gradients(const LayerCase& layer_case) {
  static_cast<void>(take_asked_products());
  const ModelConfig config = model_of(layer_case, "{optimizer: {type: sgd, lr: 0.1}}");
  const auto engine = cuda::make_cuda_engine(config, {.batch_capacity = 2, .global_batch = 2}, {});
  EXPECT_TRUE(engine.ok());
  std::map<std::int64_t, Ending> endings;
  for (const cuda::MatmulShape& shape : take_asked_products()) {
    if (shape.transpose_a) {
      EXPECT_TRUE(endings.emplace(shape.m * shape.n, shape.ending).second) << "asked for twice";
    }
  }
  return endings;
}

TEST(EmulatedProducts, LeaveABiasGradientWhereTheyAreSmallOnly) {
  const auto endings =
      weight_gradients({"TwoSizes", "[dense: 1500, relu, dense: 1500, relu, dense: 3]", {2}});
  EXPECT_THAT(endings, testing::ElementsAre(testing::Pair(1500 * 2, Ending::sums_of_a),
                                            testing::Pair(1500 * 3, Ending::sums_of_a),
                                            testing::Pair(1500 * 1500, Ending::none)));
}

TEST(EmulatedProducts, OverOneElementAreNotAskedForARelusBits) {
  static_cast<void>(take_asked_products());
  train({"OneUnit", "[dense: 130, relu, dense: 1, relu, dense: 3]", {5}}, 1, "fp32", {});
  int masked = 0;
  for (const cuda::MatmulShape& shape : take_asked_products()) {
    EXPECT_FALSE(shape.ending == Ending::masked && shape.k == 1);
    masked += shape.ending == Ending::masked ? 1 : 0;
  }
  EXPECT_EQ(masked, 1);
}

}  // namespace
}  // namespace regatta

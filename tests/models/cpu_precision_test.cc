// The CPU engine with `precision: bf16`, against the same engine with fp32.
#include <gtest/gtest.h>

#include <cmath>
#include <oneapi/dnnl/dnnl.hpp>

#include "support.h"

namespace regatta {
namespace {

constexpr std::int64_t kRows = 24;

// One engine of each precision with the same weights; a rate of learning of zero.
struct Bf16 : testing::TestWithParam<LayerCase> {
  void SetUp() override {
    if (!has_bf16()) {
      GTEST_SKIP() << "this processor has no avx512_bf16";
    }
  }
  static ModelConfig config(const std::string& precision,
                            const std::string& optimizer = "{type: sgd, lr: 0}") {
    return model_of(GetParam(), "{precision: " + precision + ", optimizer: " + optimizer + "}");
  }
  static std::unique_ptr<Engine> engine(const ModelConfig& config, int lanes) {
    auto made = cpu_engine(config, GetParam(), kRows, lanes);
    for (int lane = 0; lane < lanes; ++lane) {
      made->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(5 + lane)));
    }
    return made;
  }
};

double length(std::span<const float> values) {
  double squares = 0;
  for (const float value : values) {
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  return std::sqrt(squares);
}

TEST_P(Bf16, LossAndGradientsAreThoseOfFp32UpToItsRounding) {
  const TestBatch batch = random_batch(GetParam(), kRows, 3);
  std::vector<float> gradients[2];
  double losses[2] = {};
  for (const bool narrow : {false, true}) {
    const ModelConfig model = config(narrow ? "bf16" : "fp32");
    const auto trained = engine(model, 2);
    auto sums = metric_sums(GetParam(), 2);
    ASSERT_TRUE(trained->train(batch.view(), {.sums = sums}).ok());
    losses[narrow ? 1 : 0] = sums[1].result().front().second;
    gradients[narrow ? 1 : 0] = {trained->gradients().begin(), trained->gradients().end()};
  }
  EXPECT_NEAR(losses[1], losses[0], 0.02 * (1 + losses[0]));
  std::vector<float> difference = gradients[1];
  for (std::size_t i = 0; i < difference.size(); ++i) {
    difference[i] -= gradients[0][i];
  }
  // A relu or a maximum that falls to the other side moves a gradient by more than rounding does, and a
  // maximum over (almost) whole images moves all of it.
  const auto has = [](const char* text) { return GetParam().layers.find(text) != std::string::npos; };
  const double share = has("max_pool: {size: 16") ? 0.6 : has("global_pool: max") ? 0.2 : 0.1;
  EXPECT_LT(length(difference), share * length(gradients[0]));
  EXPECT_NE(gradients[0], gradients[1]) << "nothing was computed in bf16";
}

TEST_P(Bf16, ALaneTrainsAsItWouldAlone) {
  const ModelConfig model = config("bf16", "{type: adam, lr: 0.01}");
  const auto together = engine(model, 3);
  const auto alone = cpu_engine(model, GetParam(), kRows);
  alone->start_lane(0, lane_settings(model, 6));
  auto sums = metric_sums(GetParam(), 3);
  auto own = metric_sums(GetParam(), 1);
  for (std::uint64_t step = 0; step < 3; ++step) {
    const TestBatch batch = random_batch(GetParam(), kRows, 50 + step);
    ASSERT_TRUE(together->train(batch.view(), {.sums = sums}).ok());
    ASSERT_TRUE(alone->train(batch.view(), {.sums = own}).ok());
  }
  EXPECT_TRUE(same_bits(together->save_lane(1), alone->save_lane(0)));
}

INSTANTIATE_TEST_SUITE_P(Cases, Bf16, testing::ValuesIn(layer_cases()),
                         [](const auto& test) { return test.param.name; });
// As wide as a vector, and several layers that leave bf16 to the next.
INSTANTIATE_TEST_SUITE_P(
    WideCases, Bf16,
    testing::Values(LayerCase{"Features", "[dense: 32, relu, dense: 48, relu, dense: 3]", {64}},
                    LayerCase{"Images",
                              "[conv: 16, relu, max_pool: 2, conv: 32, relu, dense: 32, relu, dense: 3]",
                              {1, 8, 8}},
                    LayerCase{"ImagesOfThreeChannels",
                              "[conv: 32, max_pool: 2, relu, conv: {filters: 16, stride: 2}, relu, dense: 3]",
                              {3, 8, 8}}),
    [](const auto& test) { return test.param.name; });

// Images whose label says which quarter is brighter.
LayerCase quarters() {
  return {"", "[conv: 16, relu, max_pool: 2, conv: 16, relu, dense: 32, relu, dense: 4]", {1, 8, 8}, 4};
}

TestBatch batch_of_quarters(std::uint64_t seed) {
  TestBatch batch = random_batch(quarters(), 64, seed);
  for (std::size_t row = 0; row < 64; ++row) {
    const auto label = static_cast<std::size_t>(batch.labels[row]);
    for (std::size_t i = 0; i < 16; ++i) {
      batch.inputs[row * 64 + (label / 2 * 4 + i / 4) * 8 + label % 2 * 4 + i % 4] += 1;
    }
  }
  return batch;
}

ModelConfig model_of_quarters(const std::string& precision, double rate) {
  return model_of(quarters(), "{precision: " + precision + ", optimizer: {type: sgd, lr: " +
                                  std::to_string(rate) + ", momentum: 0.9}}");
}

// A high rate moves weights far in each step: a stale copy of them, or a sum that was rounded on its way,
// would show. The first layer has few weights, and gathers what relus and maxima on the other side move.
TEST(Precision, EveryLayersBf16GradientStaysThatOfFp32WhileWeightsMoveFast) {
  if (!has_bf16()) {
    GTEST_SKIP() << "this processor has no avx512_bf16";
  }
  const ModelConfig wide = model_of_quarters("fp32", 0.05);
  const ModelConfig narrow = model_of_quarters("bf16", 0.05);
  const auto exact = cpu_engine(wide, quarters(), 64);
  const auto trained = cpu_engine(narrow, quarters(), 64);
  exact->start_lane(0, lane_settings(wide, 1));
  trained->start_lane(0, lane_settings(narrow, 1));
  auto sums = metric_sums(quarters(), 1);
  for (std::uint64_t step = 0; step < 20; ++step) {
    const TestBatch batch = batch_of_quarters(step);
    ASSERT_TRUE(exact->restore_lane(0, trained->save_lane(0)).ok());
    ASSERT_TRUE(exact->train(batch.view(), {.sums = sums}).ok());
    ASSERT_TRUE(trained->train(batch.view(), {.sums = sums}).ok());
    for (const ParameterSpec& parameter : wide.network.parameters) {
      const auto part = [&](const Engine& engine) {
        return engine.gradients().subspan(static_cast<std::size_t>(parameter.offset),
                                          static_cast<std::size_t>(parameter.size));
      };
      const std::span<const float> expected = part(*exact);
      std::vector<float> difference(expected.begin(), expected.end());
      for (std::size_t i = 0; i < difference.size(); ++i) {
        difference[i] -= part(*trained)[i];
      }
      EXPECT_LT(length(difference), 0.2 * length(expected)) << parameter.name << " in step " << step;
    }
  }
}

TEST(Precision, Bf16LearnsAsWellAsFp32) {
  if (!has_bf16()) {
    GTEST_SKIP() << "this processor has no avx512_bf16";
  }
  double accuracy[2] = {};
  for (const bool narrow : {false, true}) {
    const ModelConfig model = model_of_quarters(narrow ? "bf16" : "fp32", 0.05);
    const auto engine = cpu_engine(model, quarters(), 64);
    engine->start_lane(0, lane_settings(model, 1));
    auto sums = metric_sums(quarters(), 1);
    for (std::uint64_t step = 0; step < 150; ++step) {
      const TestBatch batch = batch_of_quarters(step);
      if (step == 140) {
        sums.front().clear();
      }
      ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
    }
    accuracy[narrow ? 1 : 0] = sums.front().result()[1].second;
  }
  EXPECT_GT(accuracy[0], 0.9);
  EXPECT_GT(accuracy[1], accuracy[0] - 0.02);
}

// Ends the process; tells on the standard error what an engine of bf16 says on an older processor.
void ask_older_processor() {
  dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx512_core);
  const LayerCase layer_case{"", "[dense: 3]", {5}};
  const ModelConfig model = model_of(layer_case, "{precision: bf16}");
  const auto engine = make_cpu_engine(model, {.batch_capacity = 4, .global_batch = 4});
  std::fputs(engine.ok() ? "made" : engine.error().message.c_str(), stderr);
  std::exit(0);
}

TEST(PrecisionDeathTest, Bf16IsRefusedWhereTheProcessorLacksIt) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // oneDNN settles its instructions at its first use
  EXPECT_EXIT(ask_older_processor(), testing::ExitedWithCode(0), "precision: fp32");
}

}  // namespace
}  // namespace regatta

// The CPU engine's forward and backward work, layer by layer, against the naive reference.
#include <gtest/gtest.h>

#include <cmath>

#include "reference.h"
#include "support.h"

namespace regatta {
namespace {

constexpr std::int64_t kCapacity = 6;
constexpr std::int64_t kRows = 5;  // the last row of the capacity is not in use
constexpr std::uint64_t kSeed = 11;

// Biases and norms start as zeros and ones, which hides mistakes: move everything a little.
LaneState shaken(LaneState state, std::uint64_t seed) {
  const Random random(seed, "shake");
  std::uint64_t index = 0;
  for (NamedTensor& tensor : state.tensors) {
    for (float& value : tensor.values) {
      const auto noise = static_cast<float>(random.normal(index++));
      value = tensor.name.ends_with("running_var") ? 0.5F + noise * noise : value + 0.2F * noise;
    }
  }
  return state;
}

struct Checked : testing::TestWithParam<LayerCase> {
  // Lanes with seeds and weights of their own, a rate of learning of zero, and a batch at row 40 of a global
  // one.
  explicit Checked(int lane_count = 3)
      : lanes(lane_count),
        config(model_of(GetParam(), "optimizer: {type: sgd, lr: 0}")),
        engine(cpu_engine(config, GetParam(), kCapacity, lanes)),
        batch(random_batch(GetParam(), kCapacity, 3)) {
    batch.count = kRows;
    batch.first_sample = 40;
    for (int lane = 0; lane < lanes; ++lane) {
      engine->start_lane(lane, lane_settings(config, seed(lane)));
      states.push_back(shaken(engine->save_lane(lane), seed(lane)));
      states.back().steps = 7;
      EXPECT_TRUE(engine->restore_lane(lane, states.back()).ok());
    }
  }

  static std::uint64_t seed(int lane) { return kSeed + static_cast<std::uint64_t>(lane); }
  ReferenceOptions options(int lane, bool training) const {
    return {.training = training, .seed = seed(lane), .step = 7};
  }
  // Labels, and so losses, of so many samples.
  static double labels(std::int64_t samples) { return static_cast<double>(samples * GetParam().positions); }
  double reference(int lane, const ReferenceValues& values, bool training) const {
    return reference_loss(config, values, batch.view(), options(lane, training));
  }

  int lanes;
  ModelConfig config;
  std::unique_ptr<Engine> engine;
  TestBatch batch;
  std::vector<LaneState> states;
};

using CpuLayers = Checked;

double mean_loss(const MetricSums& sums) { return sums.result().front().second; }

TEST_P(CpuLayers, TrainingAndEvaluationLossAreTheReferences) {
  auto sums = metric_sums(GetParam(), lanes);
  ASSERT_TRUE(engine->evaluate(batch.view(), sums).ok());
  for (int lane = 0; lane < lanes; ++lane) {
    const double expected =
        reference(lane, reference_values(states[static_cast<std::size_t>(lane)]), false) / labels(kRows);
    EXPECT_NEAR(mean_loss(sums[static_cast<std::size_t>(lane)]), expected, 1e-5 * (1 + expected));
  }
  for (MetricSums& lane : sums) {
    lane.clear();
  }
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  for (int lane = 0; lane < lanes; ++lane) {
    const double expected =
        reference(lane, reference_values(states[static_cast<std::size_t>(lane)]), true) / labels(kRows);
    EXPECT_NEAR(mean_loss(sums[static_cast<std::size_t>(lane)]), expected, 1e-5 * (1 + expected));
  }
}

TEST_P(CpuLayers, GradientsAreTheFiniteDifferencesOfTheReference) {
  auto sums = metric_sums(GetParam(), lanes);
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  constexpr double kDistance = 1e-6;     // small, so that hardly a relu changes its side within it
  constexpr std::size_t kElements = 50;  // checked of each parameter
  for (int lane = 0; lane < lanes; ++lane) {
    ReferenceValues values = reference_values(states[static_cast<std::size_t>(lane)]);
    for (const ParameterSpec& parameter : config.network.parameters) {
      const auto size = static_cast<std::size_t>(parameter.size);
      const float* const computed =
          engine->gradients().data() + lanes * parameter.offset + lane * parameter.size;
      for (std::size_t i = 0; i < size; i += size / kElements + 1) {
        double& value = values[parameter.name][i];
        const double middle = value;
        value = middle + kDistance;
        const double above = reference(lane, values, true);
        value = middle - kDistance;
        const double below = reference(lane, values, true);
        value = middle;
        const double expected =
            (above - below) / (2 * kDistance) / labels(kCapacity);  // of the mean over the global batch
        ASSERT_NEAR(computed[i], expected, 2e-5 + 2e-4 * std::abs(expected))
            << "lane " << lane << ", " << parameter.name << "[" << i << "]";
      }
    }
  }
}

TEST_P(CpuLayers, UnusedRowsMayHoldAnything) {
  auto sums = metric_sums(GetParam(), lanes);
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  const std::vector<float> expected(engine->gradients().begin(), engine->gradients().end());
  for (int lane = 0; lane < lanes; ++lane) {
    ASSERT_TRUE(engine->restore_lane(lane, states[static_cast<std::size_t>(lane)]).ok());
  }
  const auto sample = static_cast<std::size_t>(element_count(GetParam().input));
  std::fill(batch.inputs.begin() + static_cast<long>(kRows * sample), batch.inputs.end(), NAN);
  batch.labels.back() = -1;
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  EXPECT_EQ(expected, std::vector<float>(engine->gradients().begin(), engine->gradients().end()));
}

// Every lane of three against an engine that has only that trial, over several steps with Adam.
TEST_P(CpuLayers, ALaneTrainsAsItWouldAlone) {
  const ModelConfig adam = model_of(GetParam(), "{optimizer: {type: adam, lr: 0.01}, gradient_clip: 0.5}");
  const auto together = cpu_engine(adam, GetParam(), kCapacity, lanes);
  for (int lane = 0; lane < lanes; ++lane) {
    together->start_lane(lane, lane_settings(adam, seed(lane)));
  }
  constexpr int kSteps = 4;
  auto sums = metric_sums(GetParam(), lanes);
  for (int step = 0; step < kSteps; ++step) {
    ASSERT_TRUE(together->train(random_batch(GetParam(), kCapacity, 50 + step).view(), {.sums = sums}).ok());
  }
  for (int lane = 0; lane < lanes; ++lane) {
    const auto alone = cpu_engine(adam, GetParam(), kCapacity);
    alone->start_lane(0, lane_settings(adam, seed(lane)));
    auto own = metric_sums(GetParam(), 1);
    for (int step = 0; step < kSteps; ++step) {
      ASSERT_TRUE(alone->train(random_batch(GetParam(), kCapacity, 50 + step).view(), {.sums = own}).ok());
    }
    EXPECT_TRUE(same_bits(together->save_lane(lane), alone->save_lane(0))) << "lane " << lane;
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CpuLayers, testing::ValuesIn(layer_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace regatta

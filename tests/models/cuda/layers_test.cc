// The GPU engine against the CPU's, network by network: losses, gradients and lanes. On the emulated device in
// models_cuda_emulated_test, on a real one in models_cuda_device_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cuda/device.h"
#include "models/cuda/engine.h"
#include "support.h"

namespace regatta {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kCapacity = 6;
constexpr std::int64_t kRows = 5;  // the last row of the capacity is not in use
constexpr std::uint64_t kSeed = 11;

std::unique_ptr<Engine> cuda_engine(const ModelConfig& config, const LayerCase& layer_case, int lanes,
                                    std::int64_t capacity = kCapacity) {
  auto engine = cuda::make_cuda_engine(config,
                                       {.batch_capacity = capacity,
                                        .global_batch = capacity,
                                        .evaluation_capacity = capacity,
                                        .lanes = lanes,
                                        .classification = layer_case.classification},
                                       {});
  EXPECT_TRUE(engine.ok()) << (engine.ok() ? "" : engine.error().message);
  return std::move(engine).value();
}

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

double relative_error(std::span<const float> computed, std::span<const float> expected) {
  double error = 0;
  double size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = static_cast<double>(computed[i]) - static_cast<double>(expected[i]);
    error += difference * difference;
    size += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return std::sqrt(error / std::max(size, 1e-12));
}

struct Precisely {
  std::string name;
  double forward;   // of the loss, relative
  double backward;  // of a parameter's gradient, relative
};

class CudaLayers : public testing::TestWithParam<std::tuple<LayerCase, Precisely>> {
 protected:
  void SetUp() override { REGATTA_NEEDS_CUDA_DEVICE(); }
  const LayerCase& layer_case() const { return std::get<0>(GetParam()); }
  const Precisely& precisely() const { return std::get<1>(GetParam()); }
  ModelConfig model(const std::string& optimizer, const std::string& precision) const {
    return model_of(layer_case(), "{" + optimizer + ", precision: " + precision + "}");
  }
};

double mean_loss(const MetricSums& sums) { return sums.result().front().second; }

// Two engines of three lanes in the same states, and one batch that is not full, at row 40 of a global one.
TEST_P(CudaLayers, LossesAndGradientsAreTheCpus) {
  constexpr int kLanes = 3;
  const std::string optimizer = "optimizer: {type: sgd, lr: 0}";
  const ModelConfig reference = model(optimizer, "fp32");
  const auto cpu = cpu_engine(reference, layer_case(), kCapacity, kLanes);
  const auto gpu = cuda_engine(model(optimizer, precisely().name), layer_case(), kLanes);
  for (int lane = 0; lane < kLanes; ++lane) {
    const std::uint64_t seed = kSeed + static_cast<std::uint64_t>(lane);
    cpu->start_lane(lane, lane_settings(reference, seed));
    LaneState state = shaken(cpu->save_lane(lane), seed);
    state.steps = 7;
    ASSERT_TRUE(cpu->restore_lane(lane, state).ok());
    gpu->start_lane(lane, lane_settings(reference, seed));
    ASSERT_TRUE(gpu->restore_lane(lane, state).ok());
  }
  TestBatch batch = random_batch(layer_case(), kCapacity, 3);
  batch.count = kRows;
  batch.first_sample = 40;
  auto expected = metric_sums(layer_case(), kLanes);
  auto computed = expected;
  const auto compare = [&](const char* phase) {
    const Status finished = gpu->finish();
    ASSERT_TRUE(finished.ok()) << finished.error().message;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const double loss = mean_loss(expected[lane]);
      EXPECT_NEAR(mean_loss(computed[lane]), loss, precisely().forward * (1 + std::abs(loss)))
          << phase << ", lane " << lane;
      expected[lane].clear();
      computed[lane].clear();
    }
  };
  ASSERT_TRUE(cpu->evaluate(batch.view(), expected).ok());
  const Status evaluated = gpu->evaluate(batch.view(), computed);
  ASSERT_TRUE(evaluated.ok()) << evaluated.error().message;
  compare("evaluation");
  ASSERT_TRUE(cpu->train(batch.view(), {.sums = expected}).ok());
  const Status trained = gpu->train(batch.view(), {.sums = computed});
  ASSERT_TRUE(trained.ok()) << trained.error().message;
  compare("training");

  for (const ParameterSpec& parameter : reference.network.parameters) {
    const auto begin = static_cast<std::size_t>(kLanes * parameter.offset);
    const auto size = static_cast<std::size_t>(kLanes * parameter.size);
    EXPECT_LE(relative_error(gpu->gradients().subspan(begin, size), cpu->gradients().subspan(begin, size)),
              precisely().backward)
        << parameter.name;
  }
  for (int lane = 0; lane < kLanes; ++lane) {  // running statistics
    const LaneState of_cpu = cpu->save_lane(lane);
    const LaneState of_gpu = gpu->save_lane(lane);
    ASSERT_EQ(of_gpu.tensors.size(), of_cpu.tensors.size());
    for (std::size_t i = 0; i < of_cpu.tensors.size(); ++i) {
      EXPECT_EQ(of_gpu.tensors[i].name, of_cpu.tensors[i].name);
      EXPECT_LE(relative_error(of_gpu.tensors[i].values, of_cpu.tensors[i].values), precisely().forward)
          << of_cpu.tensors[i].name;
    }
  }
}

// Every lane of two against an engine that has only that trial, over several steps.
TEST_P(CudaLayers, ALaneTrainsAsItWouldAlone) {
  constexpr int kLanes = 2;
  constexpr int kSteps = 3;
  const ModelConfig config =
      model("optimizer: {type: adam, lr: 0.01}, gradient_clip: 0.5", precisely().name);
  const auto together = cuda_engine(config, layer_case(), kLanes);
  for (int lane = 0; lane < kLanes; ++lane) {
    together->start_lane(lane, lane_settings(config, kSeed + static_cast<std::uint64_t>(lane)));
  }
  const auto train = [&](Engine& engine, int lanes) {
    auto sums = metric_sums(layer_case(), lanes);
    for (int step = 0; step < kSteps; ++step) {
      const auto seed = static_cast<std::uint64_t>(50 + step);
      ASSERT_TRUE(engine.train(random_batch(layer_case(), kCapacity, seed).view(), {.sums = sums}).ok());
    }
    ASSERT_TRUE(engine.finish().ok());
  };
  train(*together, kLanes);
  for (int lane = 0; lane < kLanes; ++lane) {
    const auto alone = cuda_engine(config, layer_case(), 1);
    alone->start_lane(0, lane_settings(config, kSeed + static_cast<std::uint64_t>(lane)));
    train(*alone, 1);
    const LaneState expected = alone->save_lane(0);
    const LaneState computed = together->save_lane(lane);
    for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
      if (!expected.tensors[i].name.starts_with("optimizer.")) {
        EXPECT_LE(relative_error(computed.tensors[i].values, expected.tensors[i].values), precisely().backward)
            << "lane " << lane << ", " << expected.tensors[i].name;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fp32, CudaLayers,
                         testing::Combine(testing::ValuesIn(layer_cases()),
                                          testing::Values(Precisely{"fp32", 1e-5, 1e-4})),
                         [](const auto& test) { return std::get<0>(test.param).name; });
INSTANTIATE_TEST_SUITE_P(Bf16, CudaLayers,
                         testing::Combine(testing::ValuesIn(layer_cases()),
                                          testing::Values(Precisely{"bf16", 2e-2, 6e-2})),
                         [](const auto& test) { return std::get<0>(test.param).name; });

}  // namespace
}  // namespace regatta

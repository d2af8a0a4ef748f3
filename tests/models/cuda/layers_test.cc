// The GPU engine against the CPU's, network by network: losses, gradients and lanes. On the emulated device
// in models_cuda_emulated_test, on a real one in models_cuda_device_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cuda/device.h"
#include "models/cuda/batch.h"
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

double length(std::span<const float> values) {
  double squares = 0;
  for (const float value : values) {
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  return std::sqrt(squares);
}

double distance(std::span<const float> computed, std::span<const float> expected) {
  std::vector<float> difference(computed.begin(), computed.end());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference[i] -= expected[i];
  }
  return length(difference);
}

struct Precisely {
  std::string name;
  double forward;   // of the loss, relative
  double backward;  // of a parameter's gradient, relative
  // A gradient shorter than this share of the whole network's is compared as if it were so long: that of a
  // bias in front of a batch norm is nothing but rounding. In bf16 a relu or a maximum that falls to the
  // other side moves single gradients far.
  double share;
};

class CudaLayers : public testing::TestWithParam<std::tuple<LayerCase, Precisely>> {
 protected:
  void SetUp() override { REGATTA_NEEDS_CUDA_DEVICE(); }
  const LayerCase& layer_case() const { return std::get<0>(GetParam()); }
  const Precisely& precisely() const { return std::get<1>(GetParam()); }
  // A maximum over whole images moves all of its gradient where rounding makes two values equal, and what
  // rounding does to one lane is not averaged with the others'.
  double backward_bound(int lanes) const {
    if (precisely().name != "bf16") {
      return precisely().backward;
    }
    const bool has_global_maximum = layer_case().layers.find("global_pool: max") != std::string::npos;
    return precisely().backward * (has_global_maximum ? 3 : 1) * (lanes == 1 ? 1.5 : 1);
  }
  ModelConfig model(const std::string& optimizer, const std::string& precision) const {
    return model_of(layer_case(), "{" + optimizer + ", precision: " + precision + "}");
  }
  void compare_with_cpu(int lanes) const;
};

double mean_loss(const MetricSums& sums) { return sums.result().front().second; }

// Two engines in the same states, and one batch that is not full, at row 40 of a global one.
void CudaLayers::compare_with_cpu(int lanes) const {
  const std::string optimizer = "optimizer: {type: sgd, lr: 0}";
  const ModelConfig reference = model(optimizer, "fp32");
  const auto cpu = cpu_engine(reference, layer_case(), kCapacity, lanes);
  const auto gpu = cuda_engine(model(optimizer, precisely().name), layer_case(), lanes);
  for (int lane = 0; lane < lanes; ++lane) {
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
  auto expected = metric_sums(layer_case(), lanes);
  auto computed = expected;
  const auto compare = [&](const char* phase) {
    const Status finished = gpu->finish();
    ASSERT_TRUE(finished.ok()) << finished.error().message;
    for (std::size_t lane = 0; lane < expected.size(); ++lane) {
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

  const double whole = length(cpu->gradients());
  for (const ParameterSpec& parameter : reference.network.parameters) {
    const auto begin = static_cast<std::size_t>(lanes * parameter.offset);
    const auto size = static_cast<std::size_t>(lanes * parameter.size);
    const auto of_cpu = cpu->gradients().subspan(begin, size);
    EXPECT_LE(distance(gpu->gradients().subspan(begin, size), of_cpu),
              backward_bound(lanes) * std::max(length(of_cpu), precisely().share * whole))
        << parameter.name;
  }
  for (int lane = 0; lane < lanes; ++lane) {  // running statistics
    const LaneState of_cpu = cpu->save_lane(lane);
    const LaneState of_gpu = gpu->save_lane(lane);
    ASSERT_EQ(of_gpu.tensors.size(), of_cpu.tensors.size());
    for (std::size_t i = 0; i < of_cpu.tensors.size(); ++i) {
      EXPECT_EQ(of_gpu.tensors[i].name, of_cpu.tensors[i].name);
      EXPECT_LE(distance(of_gpu.tensors[i].values, of_cpu.tensors[i].values),
                precisely().forward * length(of_cpu.tensors[i].values))
          << of_cpu.tensors[i].name;
    }
  }
}

TEST_P(CudaLayers, LossesAndGradientsAreTheCpus) { compare_with_cpu(1); }

TEST_P(CudaLayers, LossesAndGradientsOfSeveralLanesAreTheCpus) { compare_with_cpu(3); }

// Every lane of two against an engine that has only that trial, over several steps. Sums may be split up
// otherwise, and Adam would make a step of rounding alone.
TEST_P(CudaLayers, ALaneTrainsAsItWouldAlone) {
  constexpr int kLanes = 2;
  constexpr int kSteps = 3;
  const ModelConfig config =
      model("optimizer: {type: sgd, lr: 0.05, momentum: 0.9}, gradient_clip: 0.5", precisely().name);
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
    double whole = 0;
    for (const NamedTensor& tensor : expected.tensors) {
      whole = std::hypot(whole, length(tensor.values));
    }
    for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
      const auto& values = expected.tensors[i].values;
      EXPECT_LE(distance(computed.tensors[i].values, values),
                precisely().backward * std::max(length(values), precisely().share * whole))
          << "lane " << lane << ", " << expected.tensors[i].name;
    }
  }
}

// Large enough for several blocks and tiles, and for places of a window that take more than a byte.
const std::vector<LayerCase>& large_cases() {
  static const std::vector<LayerCase> cases = {
      {"Wide",
       "[conv: 40, batch_norm, relu, max_pool: {size: 3, stride: 2}, dropout: 0.3, dense: 3]",
       {3, 12, 11}},
      {"WideFlat",
       "[conv: 40, flatten, dropout: 0.2, batch_norm, reshape: [40, 9, 8], relu, dense: 3]",
       {1, 9, 8}},
      {"LargeWindows", "[conv: 4, max_pool: {size: 17, stride: 1}, dense: 3]", {1, 18, 19}},
      {"AverageOfMany",
       "[conv: 16, average_pool: {size: 3, stride: 2}, relu, conv: 8, global_pool, dense: 3]",
       {2, 13, 9}},
      {"AttentionOverATile",
       "[attention: {heads: 2, causal: true}, layer_norm, pool_time: mean, dense: 3]",
       {33, 16}},
      {"AttentionOfHeadsOfAll",
       "[dense: 24, residual: [layer_norm, attention: {heads: 3}], pool_time: last, dense: 3]",
       {100, 4}},
      {"AttentionOverTwoTiles",
       "[dense: 8, residual: [attention: {heads: 1, causal: true}], pool_time: mean, dense: 3]",
       {150, 3}},
      {"ReluAtManyPoints", "[dense: 128, relu, dense: 256, relu, dense: 3, pool_time: mean]", {70, 5}},
  };
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Fp32, CudaLayers,
                         testing::Combine(testing::ValuesIn(layer_cases()),
                                          testing::Values(Precisely{"fp32", 1e-5, 1e-4, 1e-3})),
                         [](const auto& test) { return std::get<0>(test.param).name; });
INSTANTIATE_TEST_SUITE_P(Bf16, CudaLayers,
                         testing::Combine(testing::ValuesIn(layer_cases()),
                                          testing::Values(Precisely{"bf16", 2e-2, 0.1, 1})),
                         [](const auto& test) { return std::get<0>(test.param).name; });
INSTANTIATE_TEST_SUITE_P(LargeFp32, CudaLayers,
                         testing::Combine(testing::ValuesIn(large_cases()),
                                          testing::Values(Precisely{"fp32", 1e-5, 1e-4, 1e-3})),
                         [](const auto& test) { return std::get<0>(test.param).name; });
INSTANTIATE_TEST_SUITE_P(LargeBf16, CudaLayers,
                         testing::Combine(testing::ValuesIn(large_cases()),
                                          testing::Values(Precisely{"bf16", 2e-2, 0.1, 1})),
                         [](const auto& test) { return std::get<0>(test.param).name; });

}  // namespace
}  // namespace regatta

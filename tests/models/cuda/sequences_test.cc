// Layers of sequences in sizes that layer_cases.h is too small for: rows of more than a warp, more places of
// tokens than one chunk, more heads than one batch of products. And what they compute in whatever order a
// device runs.
#include <gtest/gtest.h>

#include <cmath>

#include "cuda/device.h"
#include "emulated_cuda/emulator.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "support.h"

namespace regatta {
namespace {

constexpr std::uint64_t kSeed = 5;

struct LargeCase {
  LayerCase layers;
  std::int64_t rows;
};
void PrintTo(const LargeCase& large, std::ostream* stream) { *stream << large.layers.name; }

ModelConfig still_model(const LayerCase& layer_case, const std::string& precision) {
  return model_of(layer_case, "{optimizer: {type: sgd, lr: 0}, precision: " + precision + "}");
}

std::unique_ptr<Engine> cuda_engine(const ModelConfig& config, const LayerCase& layer_case, std::int64_t rows,
                                    int lanes) {
  return cuda::make_cuda_engine(config,
                                {.batch_capacity = rows,
                                 .global_batch = rows,
                                 .evaluation_capacity = rows,
                                 .lanes = lanes,
                                 .classification = layer_case.classification},
                                {})
      .value();
}

// One step on lanes with seeds of their own, whose loss is returned; the gradients are the engine's then.
std::vector<double> train_step(Engine& engine, const ModelConfig& config, const LayerCase& layer_case,
                               const TestBatch& batch, int lanes) {
  for (int lane = 0; lane < lanes; ++lane) {
    engine.start_lane(lane, lane_settings(config, kSeed + static_cast<std::uint64_t>(lane)));
  }
  auto sums = metric_sums(layer_case, lanes);
  const Status trained = engine.train(batch.view(), {.sums = sums});
  EXPECT_TRUE(trained.ok()) << trained.error().message;
  EXPECT_TRUE(engine.finish().ok());
  std::vector<double> losses;
  for (const MetricSums& lane : sums) {
    losses.push_back(lane.result().front().second);
  }
  return losses;
}

class LargeSequences : public testing::TestWithParam<LargeCase> {};

TEST_P(LargeSequences, LossesAndGradientsAreTheCpus) {
  constexpr int kLanes = 2;
  const LayerCase& layer_case = GetParam().layers;
  const std::int64_t rows = GetParam().rows;
  const ModelConfig config = still_model(layer_case, "fp32");
  const TestBatch batch = random_batch(layer_case, rows, 3);
  const auto cpu = cpu_engine(config, layer_case, rows, kLanes);
  const auto gpu = cuda_engine(config, layer_case, rows, kLanes);
  const auto expected = train_step(*cpu, config, layer_case, batch, kLanes);
  const auto computed = train_step(*gpu, config, layer_case, batch, kLanes);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    EXPECT_NEAR(computed[lane], expected[lane], 1e-5 * (1 + expected[lane]));
  }
  const std::span<const float> of_cpu = cpu->gradients();
  const std::span<const float> of_gpu = gpu->gradients();
  ASSERT_EQ(of_gpu.size(), of_cpu.size());
  double difference = 0;
  double whole = 0;
  for (std::size_t i = 0; i < of_cpu.size(); ++i) {
    difference = std::hypot(difference, of_gpu[i] - of_cpu[i]);
    whole = std::hypot(whole, of_cpu[i]);
  }
  EXPECT_GT(whole, 0);
  EXPECT_LE(difference, 1e-5 * whole);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, LargeSequences,
    testing::Values(
        LargeCase{{"LayerNormOfManyChannels", "[layer_norm, dense: 3]", {1027}}, 3},
        LargeCase{{"LayerNormOfManyPacks", "[layer_norm, dense: 3]", {4100}}, 3},
        LargeCase{{"LayerNormAtManyPoints", "[layer_norm, pool_time: mean, dense: 3]", {9, 3}}, 1100},
        LargeCase{{"AttentionOverManyPositions",
                   "[attention: {heads: 1, causal: true}, pool_time: mean, dense: 3]",
                   {1031, 2}},
                  1},
        LargeCase{{"AttentionOfManyHeads", "[attention: 64, pool_time: mean, dense: 3]", {2, 64}}, 516},
        LargeCase{{"EmbeddingOfManyTokens",
                   "[embedding: {vocabulary: 1500, units: 5}, position_embedding, pool_time: mean, dense: 3]",
                   {53},
                   3,
                   true,
                   1,
                   1500},
                  100},
        LargeCase{{"EmbeddingOfFrequentTokens",
                   "[embedding: {vocabulary: 5, units: 132}, pool_time: mean, dense: 3]",
                   {7},
                   3,
                   true,
                   1,
                   5},
                  90}),
    [](const auto& test) { return test.param.layers.name; });

const LayerCase& case_of(const std::string& name) {
  for (const LayerCase& layer_case : layer_cases()) {
    if (layer_case.name == name) {
      return layer_case;
    }
  }
  check_failed("a case of this name", __FILE__, __LINE__, name);
}

class Orders : public testing::TestWithParam<const char*> {
 protected:
  ~Orders() override { set_emulated_order(EmulatedOrder::kForward); }
};

TEST_P(Orders, GradientsHaveTheSameBitsInWhateverOrderThreadsAndBlocksRun) {
  constexpr int kLanes = 2;
  constexpr std::int64_t kRows = 5;
  const LayerCase& layer_case = case_of(GetParam());
  const TestBatch batch = random_batch(layer_case, kRows, 3);
  for (const char* precision : {"fp32", "bf16"}) {
    const ModelConfig config = still_model(layer_case, precision);
    std::vector<float> expected;
    for (const EmulatedOrder order :
         {EmulatedOrder::kForward, EmulatedOrder::kReversed, EmulatedOrder::kRandom}) {
      set_emulated_order(order, 3);
      const auto engine = cuda_engine(config, layer_case, kRows, kLanes);
      train_step(*engine, config, layer_case, batch, kLanes);
      const std::vector<float> gradients(engine->gradients().begin(), engine->gradients().end());
      if (expected.empty()) {
        expected = gradients;
      }
      EXPECT_EQ(gradients, expected) << precision;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Orders,
                         testing::Values("LayerNormOnSequence", "LstmOverAnother", "GruOverAnother",
                                         "AttentionCausal", "AttentionOfLargeHeads", "Conv1d",
                                         "PositionEmbedding", "Embedding", "LanguageModelOfAttention"),
                         [](const auto& test) { return std::string(test.param); });

TEST(CudaEmbedding, ANumberThatIsNoTokenMakesTheLossNotANumber) {
  const LayerCase& layer_case = case_of("Embedding");
  const ModelConfig config = still_model(layer_case, "fp32");
  const auto engine = cuda_engine(config, layer_case, 2, 1);
  for (const float wrong : {-1.0F, 7.0F, 2.5F, NAN}) {
    TestBatch batch = random_batch(layer_case, 2, 3);
    EXPECT_TRUE(std::isfinite(train_step(*engine, config, layer_case, batch, 1).front()));
    batch.inputs[3] = wrong;
    EXPECT_TRUE(std::isnan(train_step(*engine, config, layer_case, batch, 1).front())) << wrong;
  }
}

}  // namespace
}  // namespace regatta

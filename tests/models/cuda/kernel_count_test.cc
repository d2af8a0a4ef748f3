// What a recorded training step consists of: a small network's step takes as long as its kernels are many, so
// that their number is held here. On the emulated device only, where a product, a convolution with its
// bias, and attention in either direction is one kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <utility>

#include "emulated_cuda/emulator.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "support.h"

namespace regatta {
namespace {

constexpr std::int64_t kRows = 32;

struct CountCase {
  LayerCase network;
  std::string train = "optimizer: {type: adam, lr: 0.01}";
  int lanes = 1;
  int nodes = 0;
  int chain = 0;  // of nodes that wait for each other
};
inline void PrintTo(const CountCase& count_case, std::ostream* stream) { *stream << count_case.network.name; }

// And the engine's own count of it.
std::pair<GraphContents, std::size_t> recorded_step(const CountCase& count_case) {
  const LayerCase& network = count_case.network;
  const ModelConfig config = model_of(network, "{" + count_case.train + "}");
  std::size_t nodes = 0;
  const auto engine = cuda::make_cuda_engine(
                          config, {.batch_capacity = kRows, .global_batch = kRows, .lanes = count_case.lanes},
                          {.recorded_nodes = &nodes})
                          .value();
  for (int lane = 0; lane < count_case.lanes; ++lane) {
    engine->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane + 1)));
  }
  auto sums = metric_sums(network, count_case.lanes);
  EXPECT_TRUE(engine->train(random_batch(network, kRows, 1).view(), {.sums = sums}).ok());
  EXPECT_TRUE(engine->finish().ok());
  return {last_graph(), nodes};
}

std::string listed(const GraphContents& graph) {
  std::map<std::string, int> counts;
  for (const std::string& node : graph.nodes) {
    ++counts[node];
  }
  std::string text;
  for (const auto& [name, count] : counts) {
    text += "  " + std::to_string(count) + " " + name + "\n";
  }
  return text;
}

class CudaKernelCounts : public testing::TestWithParam<CountCase> {};

TEST_P(CudaKernelCounts, AStepHasTheNodesThatAreWrittenHereAndClearsNoMemory) {
  const auto [step, told] = recorded_step(GetParam());
  EXPECT_EQ(step.nodes.size(), static_cast<std::size_t>(GetParam().nodes)) << listed(step);
  EXPECT_EQ(told, step.nodes.size());
  EXPECT_EQ(step.longest_chain, GetParam().chain) << listed(step);
  EXPECT_THAT(step.nodes, testing::Not(testing::Contains("fill"))) << listed(step);
}

const LayerCase kMlp{"Mlp", "[dense: 256, relu, dense: 128, relu, dense: 10]", {20}, 10};
const LayerCase kCnn{"Cnn",
                     "[conv: 8, relu, max_pool: 2, conv: 16, relu, max_pool: 2, dense: 128, relu, dense: 10]",
                     {1, 8, 8},
                     10};
const LayerCase kTransformer{
    "TransformerBlock",
    "[embedding: {vocabulary: 9, units: 16}, position_embedding, residual: [layer_norm, attention: "
    "{heads: 2, causal: true}], residual: [layer_norm, dense: 32, gelu, dense: 16], layer_norm, dense: 9]",
    {4},
    9,
    true,
    4,
    9};
const LayerCase kLstm{"Lstm", "[lstm: 8, pool_time: last, dense: 10]", {5, 4}, 10};

// Two of the weights' gradients, which nothing waits for but the update.
TEST(CudaSideBranch, YieldsToWhatTheStepWaitsFor) {
  const auto [step, told] = recorded_step({.network = kMlp});
  ASSERT_EQ(step.priorities.size(), step.nodes.size());
  const int lowest = std::ranges::max(step.priorities);
  EXPECT_EQ(std::ranges::count(step.priorities, lowest), 2) << listed(step);
  EXPECT_LT(std::ranges::min(step.priorities), lowest);
}

CountCase named(CountCase count_case, const std::string& suffix) {
  count_case.network.name += suffix;
  return count_case;
}

const std::string kBf16 = "optimizer: {type: adam, lr: 0.01}, precision: bf16";
const std::string kClipped = "optimizer: {type: adam, lr: 0.01}, gradient_clip: 1";

INSTANTIATE_TEST_SUITE_P(
    Networks, CudaKernelCounts,
    testing::Values(CountCase{.network = kMlp, .nodes = 11, .chain = 9},
                    named({.network = kMlp, .train = kBf16, .nodes = 11, .chain = 9}, "InBf16"),
                    named({.network = kMlp, .lanes = 3, .nodes = 13, .chain = 11}, "InLanes"),
                    named({.network = kMlp, .train = kClipped, .nodes = 12, .chain = 10}, "Clipped"),
                    CountCase{.network = kCnn, .nodes = 22, .chain = 17},
                    named({.network = kCnn, .train = kBf16, .nodes = 23, .chain = 18}, "InBf16"),
                    CountCase{.network = kTransformer, .nodes = 49, .chain = 37},
                    named({.network = kTransformer, .train = kBf16, .nodes = 39, .chain = 27}, "InBf16"),
                    CountCase{.network = kLstm, .nodes = 29, .chain = 28}),
    [](const auto& test) { return test.param.network.name; });

}  // namespace
}  // namespace regatta

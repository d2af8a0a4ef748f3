// Which way attention's heads are mixed, and that rows may be divided among calls. On the emulated device
// only, where either way is counted by its kernels.
#include <gtest/gtest.h>

#include <algorithm>

#include "emulated_cuda/emulator.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "models/cuda/libraries.h"
#include "support.h"

namespace regatta {
namespace {

constexpr std::int64_t kRows = 6;

struct Trained {
  std::vector<float> gradients;
  std::vector<std::string> nodes;

  // Kernels of this name, whatever they are templates of.
  std::int64_t count(const std::string& kernel) const {
    return std::count_if(nodes.begin(), nodes.end(),
                         [&](const std::string& node) { return node.find(kernel) != std::string::npos; });
  }
};

Trained train(const std::string& layers, const std::string& precision, int lanes,
              std::int64_t attention_bytes = std::int64_t{1} << 30) {
  const LayerCase layer_case{"Attention", layers, {5, 16}};
  const ModelConfig config =
      model_of(layer_case, "{optimizer: {type: sgd, lr: 0}, precision: " + precision + "}");
  const auto libraries = cuda::open_libraries().value();
  libraries->attention_bytes = attention_bytes;
  const auto engine =
      cuda::make_cuda_engine(config, {.batch_capacity = kRows, .global_batch = kRows, .lanes = lanes},
                             {.libraries = libraries.get()})
          .value();
  for (int lane = 0; lane < lanes; ++lane) {
    engine->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane + 1)));
  }
  auto sums = metric_sums(layer_case, lanes);
  EXPECT_TRUE(engine->train(random_batch(layer_case, kRows, 3).view(), {.sums = sums}).ok());
  EXPECT_TRUE(engine->finish().ok());
  return {{engine->gradients().begin(), engine->gradients().end()}, last_graph().nodes};
}

constexpr const char* kHeadsOf8 =
    "[dense: 16, attention: {heads: 2, causal: true}, pool_time: mean, dense: 3]";
constexpr const char* kHeadsOf4 =
    "[dense: 16, attention: {heads: 4, causal: true}, pool_time: mean, dense: 3]";

TEST(EmulatedAttention, IsFusedInBf16LaneAfterLane) {
  for (const int lanes : {1, 3}) {
    const Trained trained = train(kHeadsOf8, "bf16", lanes);
    EXPECT_EQ(trained.count("attention_forward"), lanes);
    EXPECT_EQ(trained.count("attention_backward"), lanes);
    EXPECT_EQ(trained.count("softmax_rows"), 0);
  }
}

TEST(EmulatedAttention, IsDoneByProductsInFp32AndForOddHeadsAndForManySmallLanes) {
  for (const Trained& trained :
       {train(kHeadsOf8, "fp32", 1), train(kHeadsOf4, "bf16", 1), train(kHeadsOf8, "bf16", 6)}) {
    EXPECT_EQ(trained.count("attention_forward"), 0);
    EXPECT_EQ(trained.count("softmax_rows"), 1);
  }
}

TEST(EmulatedAttention, HasTheSameBitsHoweverManyRowsGoToACall) {
  constexpr std::int64_t kBytesOfARow = 2 * 128 * 128 * 2;  // two heads, positions in whole tiles
  const Trained together = train(kHeadsOf8, "bf16", 2);
  EXPECT_GT(*std::max_element(together.gradients.begin(), together.gradients.end()), 0);
  for (const std::int64_t rows : {3, 2, 1}) {
    // A little more than for `rows`, which all rows are to be a multiple of; a single one always goes.
    const Trained divided = train(kHeadsOf8, "bf16", 2, rows == 1 ? 1 : rows * kBytesOfARow + 1000);
    EXPECT_EQ(divided.count("attention_forward"), 2 * kRows / rows);
    EXPECT_EQ(divided.count("attention_backward"), 2 * kRows / rows);
    EXPECT_EQ(divided.gradients, together.gradients);
  }
}

}  // namespace
}  // namespace regatta

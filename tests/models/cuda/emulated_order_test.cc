// Training steps under different orders of threads, blocks and graph nodes: kernels that read what another
// thread may not have written yet, or sum in the order of arrival, give other bits. On the emulated device
// only.
#include <gtest/gtest.h>

#include "emulated_cuda/emulator.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "support.h"

namespace regatta {
namespace {

constexpr int kLanes = 2;
constexpr std::int64_t kRows = 6;

std::vector<LaneState> train(const LayerCase& layer_case, const ModelConfig& config, EmulatedOrder order) {
  set_emulated_order(order, 5);
  const auto engine = cuda::make_cuda_engine(config,
                                             {.batch_capacity = kRows,
                                              .global_batch = kRows,
                                              .evaluation_capacity = kRows,
                                              .lanes = kLanes,
                                              .classification = layer_case.classification},
                                             {})
                          .value();
  auto sums = metric_sums(layer_case, kLanes);
  for (int lane = 0; lane < kLanes; ++lane) {
    engine->start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane + 1)));
  }
  for (std::uint64_t step = 0; step < 2; ++step) {
    EXPECT_TRUE(engine->train(random_batch(layer_case, kRows, step).view(), {.sums = sums}).ok());
  }
  EXPECT_TRUE(engine->finish().ok());
  std::vector<LaneState> states;
  for (int lane = 0; lane < kLanes; ++lane) {
    states.push_back(engine->save_lane(lane));
  }
  set_emulated_order(EmulatedOrder::kForward);
  return states;
}

class CudaOrders : public testing::TestWithParam<LayerCase> {};

TEST_P(CudaOrders, AStepHasTheSameBitsInEveryOrder) {
  const ModelConfig config = model_of(GetParam(), "{optimizer: {type: adam, lr: 0.01}}");
  const auto expected = train(GetParam(), config, EmulatedOrder::kForward);
  for (const EmulatedOrder order : {EmulatedOrder::kReversed, EmulatedOrder::kRandom}) {
    const auto computed = train(GetParam(), config, order);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      EXPECT_TRUE(same_bits(computed[lane], expected[lane])) << "lane " << lane;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaOrders, testing::ValuesIn(layer_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace regatta

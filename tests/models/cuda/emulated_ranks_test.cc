// Two GPU engines that share a global batch, against one CPU engine that has it all: statistics over all
// ranks. On the emulated device only, whose kernels may stand in a test.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "models/cuda/batch.h"
#include "models/cuda/device.h"
#include "models/cuda/engine.h"
#include "models/cuda/exchange.h"
#include "models/cuda/launch.h"
#include "models/cuda/runtime.h"
#include "support.h"

namespace regatta {
namespace {

constexpr int kRanks = 2;
constexpr int kLanes = 2;
constexpr std::int64_t kGlobalRows = 9;
constexpr std::array<std::int64_t, kRanks + 1> kShares = {0, 5, 9};  // uneven

__global__ void add(std::size_t count, const float* others, float* values) {
  cuda::each_element(static_cast<std::int64_t>(count), [&](std::int64_t i) { values[i] += others[i]; });
}

// What the ranks offered for each sum of a step, the last time that they ran it.
class Offers {
 public:
  // Allocates when a sum is met for the first time.
  float* offer(int rank, std::size_t sum, std::size_t count) {
    if (sum == sums_.size()) {
      std::array<cuda::DeviceMemory, kRanks> of_ranks;
      for (auto& memory : of_ranks) {
        memory = cuda::DeviceMemory::allocate(count * sizeof(float), "offers").value();
      }
      sums_.push_back(std::move(of_ranks));
    }
    auto& memory = sums_[sum][static_cast<std::size_t>(rank)];
    EXPECT_EQ(memory.size(), count * sizeof(float)) << "ranks exchange alike";
    return memory.as<float>();
  }
  std::size_t size() const { return sums_.size(); }

 private:
  std::vector<std::array<cuda::DeviceMemory, kRanks>> sums_;
};

// The ranks take turns: each adds what the other offered in its last turn. A sum is right as soon as all sums
// before it were right in the other's last turn, so all are after as many turns as there are sums, and one.
class TakingTurns final : public cuda::DeviceExchange {
 public:
  TakingTurns(int rank, Offers& offers) : rank_(rank), offers_(offers) {}

  Status sum(float* values, std::size_t count, cudaStream_t stream) override {
    float* const own = offers_.offer(rank_, next_, count);
    const float* const others = offers_.offer(1 - rank_, next_, count);
    ++next_;
    RETURN_IF_ERROR(cuda::check(
        cudaMemcpyAsync(own, values, count * sizeof(float), cudaMemcpyDeviceToDevice, stream), "offering"));
    cuda::launch(add, cuda::one_thread_each(static_cast<std::int64_t>(count)), stream, count, others, values);
    return {};
  }
  Status ready(float* gradients, std::size_t floats, cudaStream_t) override {
    gradients_ = gradients;
    floats_ = std::max(floats_, floats);
    return {};
  }
  Status finish(cudaStream_t stream) override {
    RETURN_IF_ERROR(sum(gradients_, floats_, stream));
    next_ = 0;
    return {};
  }
  Status begin_step(cudaStream_t) override { return {}; }
  Status end_step(cudaStream_t) override { return {}; }
  Status status() const override { return {}; }

 private:
  int rank_;
  Offers& offers_;
  std::size_t next_ = 0;
  float* gradients_ = nullptr;
  std::size_t floats_ = 0;
};

std::vector<LaneState> start_lanes(Engine& engine, const ModelConfig& config) {
  std::vector<LaneState> states;
  for (int lane = 0; lane < kLanes; ++lane) {
    engine.start_lane(lane, lane_settings(config, static_cast<std::uint64_t>(lane + 1)));
    states.push_back(engine.save_lane(lane));
  }
  return states;
}

class CudaRanks : public testing::TestWithParam<LayerCase> {};

TEST_P(CudaRanks, NormaliseTogetherAsOneWouldAlone) {
  const LayerCase& layer_case = GetParam();
  const ModelConfig config = model_of(layer_case, "{optimizer: {type: sgd, lr: 0.1}}");
  TestBatch batch = random_batch(layer_case, kGlobalRows, 100);
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {  // the ranks' means differ
    batch.inputs[i] += i < batch.inputs.size() / 2 ? 2.0F : -1.0F;
  }
  const auto alone = cpu_engine(config, layer_case, kGlobalRows, kLanes);
  start_lanes(*alone, config);
  auto sums = metric_sums(layer_case, kLanes);
  ASSERT_TRUE(alone->train(batch.view(), {.sums = sums}).ok());

  Offers offers;
  std::vector<TakingTurns> exchanges;
  exchanges.reserve(kRanks);
  std::vector<std::unique_ptr<Engine>> ranks;
  std::vector<LaneState> states;
  for (int rank = 0; rank < kRanks; ++rank) {
    exchanges.emplace_back(rank, offers);
    cuda::CudaEngineOptions options;
    options.exchange = &exchanges.back();
    ranks.push_back(cuda::make_cuda_engine(config,
                                           {.batch_capacity = 5,
                                            .global_batch = kGlobalRows,
                                            .evaluation_capacity = 5,
                                            .lanes = kLanes,
                                            .classification = layer_case.classification},
                                           std::move(options))
                        .value());
    states = start_lanes(*ranks.back(), config);
  }
  for (std::size_t turn = 0; turn < 2 || turn <= offers.size(); ++turn) {
    for (int rank = 0; rank < kRanks; ++rank) {
      Engine& engine = *ranks[static_cast<std::size_t>(rank)];
      for (int lane = 0; lane < kLanes; ++lane) {
        ASSERT_TRUE(engine.restore_lane(lane, states[static_cast<std::size_t>(lane)]).ok());
      }
      const TestBatch share = rows_of(layer_case, batch, kShares[static_cast<std::size_t>(rank)],
                                      kShares[static_cast<std::size_t>(rank) + 1]);
      auto own = metric_sums(layer_case, kLanes);
      ASSERT_TRUE(engine.train(share.view(), {.sums = own}).ok());
      ASSERT_TRUE(engine.finish().ok());
    }
  }
  ASSERT_GE(offers.size(), 3U) << "statistics were not exchanged";
  for (int lane = 0; lane < kLanes; ++lane) {
    const LaneState expected = alone->save_lane(lane);
    for (const auto& rank : ranks) {
      const LaneState computed = rank->save_lane(lane);
      for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
        const auto& values = expected.tensors[i].values;
        for (std::size_t j = 0; j < values.size(); ++j) {
          ASSERT_NEAR(computed.tensors[i].values[j], values[j], 2e-5F * (1 + std::abs(values[j])))
              << expected.tensors[i].name << "[" << j << "] of lane " << lane;
        }
      }
    }
  }
}

std::vector<LayerCase> normalising_cases() {
  std::vector<LayerCase> cases = layer_cases();
  std::erase_if(cases, [](const LayerCase& layer_case) {
    return layer_case.layers.find("batch_norm") == std::string::npos ||
           layer_case.name.ends_with("OnSequence");
  });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Cases, CudaRanks, testing::ValuesIn(normalising_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace regatta

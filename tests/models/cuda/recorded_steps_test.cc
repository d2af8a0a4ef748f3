// Steps that were recorded as a CUDA graph: that they compute what steps do that were not, and that their
// parts can be timed. On the emulated device and on a real one, as layers_test.cc.
#include <gmock/gmock.h>

#include <array>

#include "cuda/device.h"
#include "models/cuda/batch.h"
#include "models/cuda/engine.h"
#include "models/cuda/exchange.h"
#include "support.h"

namespace regatta {
namespace {

constexpr std::int64_t kRows = 6;
constexpr int kLanes = 2;
constexpr int kSteps = 3;

class RecordedSteps : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { REGATTA_NEEDS_CUDA_DEVICE(); }

  ModelConfig config() const {
    return model_of(kCase, "{optimizer: {type: adam, lr: 0.01}, precision: " + GetParam() + "}");
  }

  std::unique_ptr<Engine> engine(const ModelConfig& model, cuda::CudaEngineOptions options) const {
    auto made = cuda::make_cuda_engine(
        model, {.batch_capacity = kRows, .global_batch = kRows, .lanes = kLanes}, std::move(options));
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
    for (int lane = 0; lane < kLanes; ++lane) {
      (*made)->start_lane(lane, lane_settings(model, static_cast<std::uint64_t>(lane)));
    }
    return std::move(made).value();
  }

  static void train(Engine& engine, std::vector<MetricSums>& sums) {
    for (int step = 0; step < kSteps; ++step) {
      const TestBatch batch = random_batch(kCase, kRows, static_cast<std::uint64_t>(step));
      ASSERT_TRUE(engine.train(batch.view(), {.sums = sums}).ok());
    }
    ASSERT_TRUE(engine.finish().ok());
  }

  static inline const LayerCase kCase{
      .name = "Images",
      .layers = "[conv: 4, batch_norm, relu, max_pool: 2, dropout: 0.3, dense: 8, relu, dense: 3]",
      .input = {2, 6, 6},
      .outputs = 3};
};

TEST_P(RecordedSteps, ComputeTheBitsOfStepsThatAreNotRecorded) {
  const ModelConfig model = config();
  const auto recorded = engine(model, {});
  const auto repeated = engine(model, {.records_steps = false});
  std::vector<MetricSums> of_recorded(kLanes, MetricSums::classification(kCase.outputs));
  auto of_repeated = of_recorded;
  train(*recorded, of_recorded);
  train(*repeated, of_repeated);
  for (int lane = 0; lane < kLanes; ++lane) {
    const LaneState state = recorded->save_lane(lane);
    const LaneState expected = repeated->save_lane(lane);
    ASSERT_EQ(state.tensors.size(), expected.tensors.size());
    for (std::size_t i = 0; i < state.tensors.size(); ++i) {
      EXPECT_EQ(state.tensors[i].values, expected.tensors[i].values) << state.tensors[i].name;
    }
  }
}

TEST_P(RecordedSteps, PassTheEventsOfTheirPartsInOrder) {
  std::array<cudaEvent_t, cuda::kStepParts> events{};
  for (cudaEvent_t& event : events) {
    ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  }
  const ModelConfig model = config();
  {
    const auto timed = engine(model, {.part_ends = events});
    std::vector<MetricSums> sums(kLanes, MetricSums::classification(kCase.outputs));
    train(*timed, sums);
    for (std::size_t part = 1; part < events.size(); ++part) {
      float milliseconds = -1;
      ASSERT_EQ(cudaEventElapsedTime(&milliseconds, events[part - 1], events[part]), cudaSuccess) << part;
      EXPECT_GE(milliseconds, 0) << part;
    }
  }
  for (const cudaEvent_t event : events) {
    EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
  }
}

TEST_P(RecordedSteps, AreInTheSavedLaneButInNoSumsUntilTheyAreFinished) {
  const ModelConfig model = config();
  const auto finished = engine(model, {});
  std::vector<MetricSums> sums(kLanes, MetricSums::classification(kCase.outputs));
  std::vector<MetricSums> unfinished = sums;
  train(*finished, sums);
  {
    const auto left = engine(model, {});
    for (int step = 0; step < kSteps; ++step) {
      const TestBatch batch = random_batch(kCase, kRows, static_cast<std::uint64_t>(step));
      ASSERT_TRUE(left->train(batch.view(), {.sums = unfinished}).ok());
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      EXPECT_TRUE(same_bits(left->save_lane(lane), finished->save_lane(lane))) << lane;
    }
  }
  for (MetricSums& of_lane : unfinished) {
    EXPECT_THAT(of_lane.sums(), testing::Each(0.0));
  }
  const std::vector<double> once(sums[0].sums().begin(), sums[0].sums().end());
  EXPECT_THAT(once, testing::Contains(testing::Gt(0.0)));
  ASSERT_TRUE(finished->finish().ok());
  EXPECT_THAT(sums[0].sums(), testing::ElementsAreArray(once));
}

// Of a crew of one, whose steps fail when it is told so.
class FailingExchange final : public cuda::DeviceExchange {
 public:
  Status sum(float*, std::size_t, cudaStream_t) override { return {}; }
  Status ready(float*, std::size_t, cudaStream_t) override { return {}; }
  Status finish(cudaStream_t) override { return {}; }
  Status begin_step(cudaStream_t) override { return fails_ ? failure("a peer is gone") : Status(); }
  Status end_step(cudaStream_t) override { return {}; }
  Status status() const override { return {}; }
  void set_fails(bool fails) { fails_ = fails; }

 private:
  bool fails_ = false;
};

TEST_P(RecordedSteps, AreOverOnceOneHasFailed) {
  const ModelConfig model = config();
  FailingExchange exchange;
  const auto failing = engine(model, {.exchange = &exchange});
  std::vector<MetricSums> sums(kLanes, MetricSums::classification(kCase.outputs));
  const auto train_once = [&] {
    return failing->train(random_batch(kCase, kRows, 1).view(), {.sums = sums});
  };
  ASSERT_TRUE(train_once().ok());
  ASSERT_TRUE(failing->finish().ok());
  exchange.set_fails(true);
  ASSERT_FALSE(train_once().ok());
  exchange.set_fails(false);
  for (const Status& status : {train_once(), failing->finish()}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, "a peer is gone");
  }
}

INSTANTIATE_TEST_SUITE_P(, RecordedSteps, testing::Values("fp32", "bf16"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace regatta

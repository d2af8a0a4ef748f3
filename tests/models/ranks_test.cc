// Two engines in two threads that share a global batch, against one engine that has it all.
#include <gtest/gtest.h>

#include <array>
#include <barrier>
#include <cmath>
#include <thread>

#include "support.h"

namespace regatta {
namespace {

constexpr int kRanks = 2;
constexpr std::int64_t kGlobalRows = 9;
constexpr std::array<std::int64_t, kRanks + 1> kShares = {0, 5, 9};  // uneven
constexpr int kSteps = 4;

// Where the ranks of one process meet: sums a span of each, in the order of the ranks.
class Meeting {
 public:
  void sum(int rank, std::span<float> values) {
    offered_[static_cast<std::size_t>(rank)] = {values.begin(), values.end()};
    barrier_.arrive_and_wait();
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = offered_[0][i] + offered_[1][i];
    }
    barrier_.arrive_and_wait();
  }

 private:
  std::array<std::vector<float>, kRanks> offered_;
  std::barrier<> barrier_{kRanks};
};

// Checks, too, that what was called final stays as it was.
class ThreadExchange final : public GradientExchange {
 public:
  ThreadExchange(Meeting& meeting, int rank, std::span<float> gradients)
      : meeting_(meeting), rank_(rank), gradients_(gradients) {}

  Status ready(std::size_t floats) override {
    EXPECT_GT(floats, final_.size());
    EXPECT_LE(floats, gradients_.size());
    final_.insert(final_.end(), gradients_.begin() + static_cast<long>(final_.size()),
                  gradients_.begin() + static_cast<long>(floats));
    ++announcements_;
    return {};
  }
  Status finish() override {
    EXPECT_EQ(final_, std::vector<float>(gradients_.begin(), gradients_.end()));
    final_.clear();
    meeting_.sum(rank_, gradients_);
    return {};
  }
  Status sum(std::span<float> values) override {
    meeting_.sum(rank_, values);
    return {};
  }
  int announcements() const { return announcements_; }

 private:
  Meeting& meeting_;
  int rank_;
  std::span<float> gradients_;
  std::vector<float> final_;
  int announcements_ = 0;
};

TestBatch global_batch(const LayerCase& layer_case, int step) {
  return random_batch(layer_case, kGlobalRows, 100 + static_cast<std::uint64_t>(step));
}

struct Outcome {
  LaneState state;
  std::vector<double> sums;
};

Outcome train_alone(const LayerCase& layer_case, const ModelConfig& config) {
  const auto engine = cpu_engine(config, layer_case, kGlobalRows, 2);
  engine->start_lane(0, lane_settings(config, 1));
  engine->start_lane(1, lane_settings(config, 2));
  auto sums = metric_sums(layer_case, 2);
  for (int step = 0; step < kSteps; ++step) {
    EXPECT_TRUE(engine->train(global_batch(layer_case, step).view(), {.sums = sums}).ok());
  }
  return {engine->save_lane(1), {sums[1].sums().begin(), sums[1].sums().end()}};
}

Outcome train_as_rank(const LayerCase& layer_case, const ModelConfig& config, int rank, Meeting& meeting) {
  const std::int64_t begin = kShares[static_cast<std::size_t>(rank)];
  const std::int64_t end = kShares[static_cast<std::size_t>(rank) + 1];
  std::vector<float> gradients(static_cast<std::size_t>(2 * config.network.parameter_count));
  ThreadExchange exchange(meeting, rank, gradients);
  const auto engine = make_cpu_engine(config, {.batch_capacity = 5,
                                               .global_batch = kGlobalRows,
                                               .evaluation_capacity = 5,
                                               .lanes = 2,
                                               .classification = layer_case.classification,
                                               .gradients = gradients})
                          .value();
  engine->start_lane(0, lane_settings(config, 1));
  engine->start_lane(1, lane_settings(config, 2));
  auto sums = metric_sums(layer_case, 2);
  for (int step = 0; step < kSteps; ++step) {
    const TestBatch share = rows_of(layer_case, global_batch(layer_case, step), begin, end);
    EXPECT_TRUE(engine->train(share.view(), {.exchange = &exchange, .sums = sums}).ok());
  }
  EXPECT_GE(exchange.announcements(), kSteps);
  EXPECT_EQ(engine->gradients().data(), gradients.data());
  return {engine->save_lane(1), {sums[1].sums().begin(), sums[1].sums().end()}};
}

void expect_close(const LaneState& a, const LaneState& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (std::size_t t = 0; t < a.tensors.size(); ++t) {
    for (std::size_t i = 0; i < a.tensors[t].values.size(); ++i) {
      ASSERT_NEAR(a.tensors[t].values[i], b.tensors[t].values[i],
                  2e-5F * (1 + std::abs(b.tensors[t].values[i])))
          << a.tensors[t].name << "[" << i << "]";
    }
  }
}

using Ranks = testing::TestWithParam<LayerCase>;

TEST_P(Ranks, TrainTogetherWhatOneWouldTrainAlone) {
  const ModelConfig config =
      model_of(GetParam(), "{optimizer: {type: sgd, lr: 0.1, momentum: 0.9}, gradient_clip: 1}");
  Meeting meeting;
  std::array<Outcome, kRanks> ranks;
  {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < kRanks; ++rank) {
      threads.emplace_back([&, rank] {
        ranks[static_cast<std::size_t>(rank)] = train_as_rank(GetParam(), config, rank, meeting);
      });
    }
  }
  const Outcome alone = train_alone(GetParam(), config);
  EXPECT_TRUE(same_bits(ranks[0].state, ranks[1].state));
  expect_close(ranks[0].state, alone.state);
  for (std::size_t i = 0; i < alone.sums.size(); ++i) {
    EXPECT_NEAR(ranks[0].sums[i] + ranks[1].sums[i], alone.sums[i], 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Ranks, testing::ValuesIn(layer_cases()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace regatta

// Updates against sequences that torch.optim (PyTorch 1.13) gives for the same weights and gradients.
#include "models/optimizer.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "support.h"

namespace regatta {
namespace {

using Kind = OptimizerConfig::Kind;
using Weights = std::array<float, 3>;

// Three steps from fixed weights with fixed gradients.
Weights after_three_steps(const OptimizerConfig& config, bool decays = true) {
  Weights weights = {0.5F, -1.0F, 2.0F};
  const std::array<Weights, 3> gradients = {{{0.1F, -0.2F, 0.3F}, {-0.4F, 0.5F, 0.0F}, {0.05F, 0.0F, -1.5F}}};
  Weights first = {};
  Weights second = {};
  for (std::size_t step = 0; step < gradients.size(); ++step) {
    update_segment({.offset = 0, .size = 3, .decays = decays, .lane = 0},
                   plan_update(config, 1, static_cast<std::int64_t>(step) + 1),
                   {weights.data(), gradients[step].data(), first.data(), second.data()});
  }
  return weights;
}

void expect_near(const Weights& actual, const Weights& expected) {
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 2e-6) << i;
  }
}

TEST(Optimizer, SgdIsPyTorchs) {
  expect_near(after_three_steps({.kind = Kind::sgd, .lr = 0.1}), {0.52500004F, -1.03F, 2.1200001F});
  expect_near(after_three_steps({.kind = Kind::sgd, .lr = 0.1, .weight_decay = 0.01}),
              {0.52348149F, -1.0269929F, 2.1140659F});
}

TEST(Optimizer, MomentumIsPyTorchs) {
  expect_near(after_three_steps({.kind = Kind::sgd, .lr = 0.1, .momentum = 0.9}),
              {0.54390001F, -1.0408F, 2.0687001F});
  expect_near(after_three_steps({.kind = Kind::sgd, .lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}),
              {0.54109544F, -1.0352207F, 2.0576036F});
  expect_near(after_three_steps({.kind = Kind::sgd, .lr = 0.1, .momentum = 0.9, .nesterov = true}),
              {0.56450999F, -1.06672F, 2.1818299F});
}

TEST(Optimizer, AdamAndAdamWArePyTorchs) {
  expect_near(after_three_steps({.kind = Kind::adam, .lr = 0.1}), {0.49119082F, -0.97840488F, 1.8854892F});
  expect_near(after_three_steps({.kind = Kind::adam,
                                 .lr = 0.1,
                                 .beta1 = 0.8,
                                 .beta2 = 0.99,
                                 .epsilon = 1e-3,
                                 .weight_decay = 0.01}),
              {0.49380046F, -0.98078907F, 1.891782F});
  expect_near(after_three_steps({.kind = Kind::adamw, .lr = 0.1, .weight_decay = 0.05}),
              {0.48444602F, -0.96425617F, 1.8569716F});
}

TEST(Optimizer, BiasesAndNormsDoNotDecay) {
  for (const Kind kind : {Kind::sgd, Kind::adam, Kind::adamw}) {
    const OptimizerConfig plain{.kind = kind, .lr = 0.1};
    OptimizerConfig decaying = plain;
    decaying.weight_decay = 0.3;
    EXPECT_EQ(after_three_steps(decaying, false), after_three_steps(plain));
    EXPECT_NE(after_three_steps(decaying, true), after_three_steps(plain));
  }
}

TEST(Optimizer, TheSchedulesFactorAndTheClippingScaleTheStep) {
  EXPECT_FLOAT_EQ(plan_update({.lr = 0.4}, 0.25, 1).lr, 0.1F);
  Weights weights = {1, 1, 1};
  const Weights gradients = {2, 2, 2};
  LaneUpdate update = plan_update({.kind = Kind::sgd, .lr = 1}, 1, 1);
  update.gradient_scale = 0.25F;
  update_segment({.offset = 1, .size = 1}, update, {weights.data(), gradients.data(), nullptr, nullptr});
  EXPECT_EQ(weights, (Weights{1, 0.5F, 1}));
}

TEST(Optimizer, ClippingShortensOnlyLongGradients) {
  EXPECT_EQ(clip_factor(0.25, 1), 1);
  EXPECT_NEAR(clip_factor(16, 1), 0.25, 1e-6);
  const std::array<float, 3> gradient = {2, -1, 2};
  EXPECT_EQ(squared_norm(gradient.data(), gradient.size()), 9);
}

TEST(Optimizer, SegmentsCoverTheFlatBufferInOrder) {
  const LayerCase layer_case{"", "[dense: {units: 300}, batch_norm, dense: 3]", {100}};
  const Network network = model_of(layer_case).network;
  constexpr int kLanes = 3;
  std::size_t end = 0;
  std::array<std::int64_t, kLanes> sizes = {};
  for (const OptimizerSegment& segment : optimizer_segments(network, kLanes)) {
    EXPECT_EQ(segment.offset, end);
    end += segment.size;
    sizes[static_cast<std::size_t>(segment.lane)] += static_cast<std::int64_t>(segment.size);
    // Only the two weight matrices decay: 3 × 300 from the front of each lane's share, then 300 × 100.
    const bool last_layer = segment.offset < kLanes * 900;
    const bool first_layer =
        segment.offset >= kLanes * (900 + 3 + 600) && segment.offset < kLanes * (1503 + 30000);
    EXPECT_EQ(segment.decays, last_layer || first_layer);
  }
  EXPECT_EQ(end, static_cast<std::size_t>(kLanes * network.parameter_count));
  EXPECT_EQ(sizes, (std::array<std::int64_t, kLanes>{31803, 31803, 31803}));
}

}  // namespace
}  // namespace regatta

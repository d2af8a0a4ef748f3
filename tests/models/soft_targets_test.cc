// Targets that are no single class: smoothed labels, and two labels of mixed samples.
#include <gtest/gtest.h>

#include <cmath>

#include "reference.h"
#include "support.h"

namespace regatta {
namespace {

constexpr std::int64_t kRows = 6;
const LayerCase kCase{"", "[dense: 5, relu, dense: 4]", {3}, 4};

struct SoftTargets : testing::TestWithParam<std::string> {
  SoftTargets()
      : config(model_of(kCase, "{optimizer: {type: sgd, lr: 0}, label_smoothing: " + GetParam() + "}")),
        engine(cpu_engine(config, kCase, kRows)),
        batch(random_batch(kCase, kRows, 3)) {
    engine->start_lane(0, lane_settings(config, 5));
  }

  // As if each row were mixed with one of the next label.
  BatchView mixed() {
    for (std::size_t row = 0; row < static_cast<std::size_t>(kRows); ++row) {
      others.push_back((batch.labels[row] + static_cast<std::int32_t>(row % 2)) % 4);  // some are alike
      shares.push_back(1.0F - 0.09F * static_cast<float>(row));
    }
    BatchView view = batch.view();
    view.other_labels = others;
    view.label_shares = shares;
    return view;
  }

  double training_loss(const BatchView& view) {
    auto sums = metric_sums(kCase, 1);
    EXPECT_TRUE(engine->train(view, {.sums = sums}).ok());
    return sums[0].result().front().second;
  }

  void expect_reference(const BatchView& view) {
    ReferenceValues values = reference_values(engine->save_lane(0));
    const auto loss = [&] { return reference_loss(config, values, view, {}) / kRows; };
    EXPECT_NEAR(training_loss(view), loss(), 1e-5);
    constexpr double kDistance = 1e-6;
    for (const ParameterSpec& parameter : config.network.parameters) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(parameter.size); ++i) {
        double& value = values[parameter.name][i];
        const double middle = value;
        value = middle + kDistance;
        const double above = loss();
        value = middle - kDistance;
        const double below = loss();
        value = middle;
        ASSERT_NEAR(engine->gradients()[static_cast<std::size_t>(parameter.offset) + i],
                    (above - below) / (2 * kDistance), 2e-5)
            << parameter.name << "[" << i << "]";
      }
    }
  }

  ModelConfig config;
  std::unique_ptr<Engine> engine;
  TestBatch batch;
  std::vector<std::int32_t> others;
  std::vector<float> shares;
};

TEST_P(SoftTargets, LossAndGradientsAreTheReferences) { expect_reference(batch.view()); }

TEST_P(SoftTargets, LossAndGradientsOfMixedSamplesAreTheReferences) { expect_reference(mixed()); }

TEST_P(SoftTargets, ASampleMixedWithItselfIsNotMixed) {
  const double plain = training_loss(batch.view());
  const std::vector<float> gradients(engine->gradients().begin(), engine->gradients().end());
  const std::vector<float> any_share(static_cast<std::size_t>(kRows), 0.7F);
  BatchView view = batch.view();
  view.other_labels = batch.labels;
  view.label_shares = any_share;
  EXPECT_NEAR(training_loss(view), plain, 1e-6);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    EXPECT_NEAR(engine->gradients()[i], gradients[i], 1e-6);
  }
}

TEST_P(SoftTargets, EvaluationTakesTheLabelsAsTheyAre) {
  const ModelConfig plain = model_of(kCase);
  const auto other = cpu_engine(plain, kCase, kRows);
  other->start_lane(0, lane_settings(plain, 5));
  auto sums = metric_sums(kCase, 1);
  auto expected = metric_sums(kCase, 1);
  ASSERT_TRUE(engine->evaluate(batch.view(), sums).ok());
  ASSERT_TRUE(other->evaluate(batch.view(), expected).ok());
  EXPECT_EQ(sums[0].result(), expected[0].result());
}

INSTANTIATE_TEST_SUITE_P(LabelSmoothing, SoftTargets, testing::Values("0", "0.1", "0.75"));

// torch.nn.CrossEntropyLoss(label_smoothing=0.1) of these logits and labels.
TEST(LabelSmoothing, IsPyTorchs) {
  const LayerCase identity{"", "[dense: {units: 3, bias: false}]", {3}};
  const ModelConfig config = model_of(identity, "{optimizer: {type: sgd, lr: 0}, label_smoothing: 0.1}");
  const auto engine = cpu_engine(config, identity, 2);
  engine->start_lane(0, lane_settings(config, 1));
  LaneState state = engine->save_lane(0);
  state.tensors.front().values = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  ASSERT_TRUE(engine->restore_lane(0, state).ok());
  const TestBatch batch{.inputs = {0.5F, -1, 2, 3, 0.25F, -0.75F}, .labels = {2, 1}, .count = 2};
  auto sums = metric_sums(identity, 1);
  ASSERT_TRUE(engine->train(batch.view(), {.sums = sums}).ok());
  EXPECT_NEAR(sums[0].result().front().second, 1.583404714779803, 1e-6);
}

}  // namespace
}  // namespace regatta

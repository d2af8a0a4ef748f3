// Metrics against values worked out by hand; scikit-learn gives the same.
#include "models/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

namespace regatta {
namespace {

std::map<std::string, double> named(const MetricSums& sums) {
  const MetricValues values = sums.result();
  return {values.begin(), values.end()};
}

// Logits whose largest element is the predicted class.
std::vector<float> logits_for(const std::vector<int>& predictions, int classes, int row_stride) {
  std::vector<float> logits(predictions.size() * static_cast<std::size_t>(row_stride), 9.0F);
  for (std::size_t row = 0; row < predictions.size(); ++row) {
    for (int j = 0; j < classes; ++j) {
      logits[row * static_cast<std::size_t>(row_stride) + static_cast<std::size_t>(j)] =
          j == predictions[row] ? 2.0F : -1.0F;
    }
  }
  return logits;
}

TEST(Metrics, ClassificationScoresAreTheMacroMeans) {
  const std::vector<std::int32_t> labels = {0, 0, 1, 1, 2, 2, 2, 0};
  const auto logits = logits_for({0, 1, 1, 1, 0, 2, 1, 0}, 3, 5);
  MetricSums sums = MetricSums::classification(3);
  sums.add_classified(logits.data(), 5, std::span(labels).first(3), 1.5);
  sums.add_classified(logits.data() + 15, 5, std::span(labels).subspan(3), 2.5);
  const auto values = named(sums);
  EXPECT_DOUBLE_EQ(values.at("loss"), 4.0 / 8);
  EXPECT_DOUBLE_EQ(values.at("accuracy"), 5.0 / 8);
  // Class 0: 2 of 3 predictions, 2 of 3 labels; class 1: 2 of 4, 2 of 2; class 2: 1 of 1, 1 of 3.
  EXPECT_DOUBLE_EQ(values.at("precision"), (2.0 / 3 + 2.0 / 4 + 1) / 3);
  EXPECT_DOUBLE_EQ(values.at("recall"), (2.0 / 3 + 1 + 1.0 / 3) / 3);
  EXPECT_DOUBLE_EQ(values.at("f1"), (4.0 / 6 + 4.0 / 6 + 2.0 / 4) / 3);
}

TEST(Metrics, AClassThatNeitherOccursNorIsPredictedDoesNotCount) {
  const std::vector<std::int32_t> labels = {0, 0, 1, 1};
  const auto logits = logits_for({0, 3, 1, 1}, 5, 5);
  MetricSums sums = MetricSums::classification(5);
  sums.add_classified(logits.data(), 5, labels, 0);
  const auto values = named(sums);
  // Classes 0, 1 and 3 occur; 3 has a prediction and no label.
  EXPECT_DOUBLE_EQ(values.at("precision"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(values.at("recall"), 1.5 / 3);
  EXPECT_DOUBLE_EQ(values.at("f1"), (2.0 / 3 + 1) / 3);
}

TEST(Metrics, AClassWithoutPredictionsHasPrecisionZero) {
  const std::vector<std::int32_t> labels = {0, 1};
  const auto logits = logits_for({0, 0}, 2, 2);
  MetricSums sums = MetricSums::classification(2);
  sums.add_classified(logits.data(), 2, labels, 0);
  EXPECT_DOUBLE_EQ(named(sums).at("precision"), 0.25);
  EXPECT_DOUBLE_EQ(named(sums).at("recall"), 0.5);
}

TEST(Metrics, RegressionErrorsAreInTheDatasOwnUnits) {
  // Trained values are (raw - shift) * scale: errors of 1 and -3 in trained units are 2 and -6 in raw ones.
  const std::vector<float> scale = {0.5F};
  const std::vector<float> targets = {0, 1, 2, 3};
  const std::vector<float> outputs = {1, 7, 1, 7, 2, 7, 0, 7};
  MetricSums sums = MetricSums::regression(1, scale);
  sums.add_regressed(outputs.data(), 2, targets, 10);
  const auto values = named(sums);
  EXPECT_DOUBLE_EQ(values.at("loss"), 2.5);
  EXPECT_DOUBLE_EQ(values.at("mae"), (2 + 0 + 0 + 6) / 4.0);
  EXPECT_DOUBLE_EQ(values.at("rmse"), std::sqrt((4 + 36) / 4.0));
  EXPECT_DOUBLE_EQ(values.at("r2"), 1 - (1 + 9) / 5.0);
}

TEST(Metrics, R2IsTheMeanOverTargetsAndZeroForAConstantOne) {
  const std::vector<float> targets = {1, 5, 3, 5};
  const std::vector<float> outputs = {1, 4, 3, 6};
  MetricSums sums = MetricSums::regression(2, {});
  sums.add_regressed(outputs.data(), 2, targets, 0);
  EXPECT_DOUBLE_EQ(named(sums).at("r2"), 0.5);
}

TEST(Metrics, SumsAddUpOverRanks) {
  const std::vector<std::int32_t> labels = {0, 1, 2, 1};
  const auto logits = logits_for({0, 1, 1, 2}, 3, 3);
  MetricSums whole = MetricSums::classification(3);
  whole.add_classified(logits.data(), 3, labels, 3);
  MetricSums left = MetricSums::classification(3);
  left.add_classified(logits.data(), 3, std::span(labels).first(1), 1);
  MetricSums right = MetricSums::classification(3);
  right.add_classified(logits.data() + 3, 3, std::span(labels).subspan(1), 2);
  for (std::size_t i = 0; i < left.sums().size(); ++i) {
    left.sums()[i] += right.sums()[i];
  }
  EXPECT_EQ(left.result(), whole.result());
  left.clear();
  EXPECT_EQ(left.result(), MetricSums::classification(3).result());
}

TEST(Metrics, PerplexityIsTheExponentialOfTheMeanLossOfATokenWhateverRankSawIt) {
  const std::vector<std::int32_t> labels = {0, 1, 1};
  const auto logits = logits_for({0, 1, 0}, 2, 2);
  MetricSums left = MetricSums::continuation(2);
  left.add_classified(logits.data(), 2, std::span(labels).first(1), 0.3);
  MetricSums right = MetricSums::continuation(2);
  right.add_classified(logits.data() + 2, 2, std::span(labels).subspan(1), 1.2);
  for (std::size_t i = 0; i < left.sums().size(); ++i) {
    left.sums()[i] += right.sums()[i];
  }
  EXPECT_DOUBLE_EQ(named(left).at("perplexity"), std::exp(1.5 / 3));
}

TEST(Metrics, NamesAreThoseOfTheResults) {
  const std::map<Prediction, MetricSums> kinds = {{Prediction::classes, MetricSums::classification(2)},
                                                  {Prediction::tokens, MetricSums::continuation(2)},
                                                  {Prediction::numbers, MetricSums::regression(1, {})}};
  for (const auto& [prediction, sums] : kinds) {
    std::vector<std::string> names;
    for (const auto& [name, value] : sums.result()) {
      names.push_back(name);
    }
    EXPECT_EQ(names, metric_names(prediction));
  }
}

TEST(Metrics, ANanLossStaysNan) {
  const std::vector<std::int32_t> labels = {0};
  const std::vector<float> logits = {NAN, NAN};
  MetricSums sums = MetricSums::classification(2);
  sums.add_classified(logits.data(), 2, labels, NAN);
  EXPECT_TRUE(std::isnan(named(sums).at("loss")));
}

}  // namespace
}  // namespace regatta

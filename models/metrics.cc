// Sums that give the metrics: a confusion count per class, or moments of errors and targets.
#include "models/metrics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace regatta {
namespace {

double ratio(double numerator, double denominator) { return denominator > 0 ? numerator / denominator : 0; }

struct MacroScores {
  double precision = 0;
  double recall = 0;
  double f1 = 0;
};

// Means over the classes that occur, as labels or as predictions; a class without predictions has precision
// 0 (scikit-learn's average='macro', zero_division=0).
MacroScores macro_scores(std::span<const double> per_class) {
  MacroScores scores;
  double classes = 0;
  for (std::size_t i = 0; i < per_class.size(); i += MetricLayout::kPerClass) {
    const double hits = per_class[i + MetricLayout::kHits];
    const double predicted = per_class[i + MetricLayout::kPredicted];
    const double actual = per_class[i + MetricLayout::kActual];
    if (predicted + actual > 0) {
      classes += 1;
      scores.precision += ratio(hits, predicted);
      scores.recall += ratio(hits, actual);
      scores.f1 += ratio(2 * hits, predicted + actual);
    }
  }
  return {ratio(scores.precision, classes), ratio(scores.recall, classes), ratio(scores.f1, classes)};
}

}  // namespace

MetricSums MetricSums::classification(std::int64_t classes) {
  MetricSums metrics;
  metrics.outputs_ = classes;
  metrics.sums_.assign(MetricLayout::kHeader + MetricLayout::kPerClass * static_cast<std::size_t>(classes),
                       0);
  return metrics;
}

MetricSums MetricSums::continuation(std::int64_t tokens) {
  MetricSums metrics = classification(tokens);
  metrics.prediction_ = Prediction::tokens;
  return metrics;
}

MetricSums MetricSums::regression(std::int64_t targets, std::span<const float> target_scale) {
  MetricSums metrics;
  metrics.prediction_ = Prediction::numbers;
  metrics.outputs_ = targets;
  metrics.scale_.assign(target_scale.begin(), target_scale.end());
  metrics.scale_.resize(static_cast<std::size_t>(targets), 1.0);
  metrics.sums_.assign(MetricLayout::kHeader + MetricLayout::kPerTarget * static_cast<std::size_t>(targets),
                       0);
  return metrics;
}

void MetricSums::add_classified(const float* logits, std::int64_t row_stride,
                                std::span<const std::int32_t> labels, double loss_sum) {
  CHECK(prediction_ != Prediction::numbers);
  sums_[MetricLayout::kCount] += static_cast<double>(labels.size());
  sums_[MetricLayout::kLoss] += loss_sum;
  for (const std::int32_t label : labels) {
    CHECK(label >= 0 && label < outputs_);
    const auto predicted = std::max_element(logits, logits + outputs_) - logits;
    double* const of_label =
        &sums_[MetricLayout::kHeader + MetricLayout::kPerClass * static_cast<std::size_t>(label)];
    of_label[MetricLayout::kActual] += 1;
    of_label[MetricLayout::kHits] += predicted == label ? 1 : 0;
    sums_[MetricLayout::kHeader + MetricLayout::kPerClass * static_cast<std::size_t>(predicted) +
          MetricLayout::kPredicted] += 1;
    logits += row_stride;
  }
}

void MetricSums::add_regressed(const float* outputs, std::int64_t row_stride, std::span<const float> targets,
                               double loss_sum) {
  CHECK(prediction_ == Prediction::numbers);
  const auto columns = static_cast<std::size_t>(outputs_);
  const std::size_t rows = targets.size() / columns;
  sums_[MetricLayout::kCount] += static_cast<double>(rows);
  sums_[MetricLayout::kLoss] += loss_sum;
  for (std::size_t row = 0; row < rows; ++row) {
    const float* const output = outputs + static_cast<std::int64_t>(row) * row_stride;
    for (std::size_t column = 0; column < columns; ++column) {
      const double target = targets[row * columns + column] / scale_[column];
      const double error = output[column] / scale_[column] - target;
      double* const of_target = &sums_[MetricLayout::kHeader + MetricLayout::kPerTarget * column];
      of_target[MetricLayout::kAbsoluteError] += std::abs(error);
      of_target[MetricLayout::kSquaredError] += error * error;
      of_target[MetricLayout::kTarget] += target;
      of_target[MetricLayout::kSquaredTarget] += target * target;
    }
  }
}

void MetricSums::clear() { std::fill(sums_.begin(), sums_.end(), 0.0); }

MetricValues MetricSums::result() const {
  const double count = sums_[MetricLayout::kCount];
  const auto rest = std::span(sums_).subspan(MetricLayout::kHeader);
  MetricValues values = {{"loss", ratio(sums_[MetricLayout::kLoss], count)}};
  if (prediction_ != Prediction::numbers) {
    double hits = 0;
    for (std::size_t i = 0; i < rest.size(); i += MetricLayout::kPerClass) {
      hits += rest[i + MetricLayout::kHits];
    }
    const MacroScores scores = macro_scores(rest);
    values.insert(values.end(), {{"accuracy", ratio(hits, count)},
                                 {"precision", scores.precision},
                                 {"recall", scores.recall},
                                 {"f1", scores.f1}});
    if (prediction_ == Prediction::tokens) {
      values.emplace_back("perplexity", std::exp(values.front().second));
    }
    return values;
  }
  // R² = 1 - Σ(y - t)² / Σ(t - mean t)², the mean over the targets; a constant target cannot be explained: 0.
  double absolute = 0;
  double squared = 0;
  double r2 = 0;
  for (std::size_t i = 0; i < rest.size(); i += MetricLayout::kPerTarget) {
    absolute += rest[i + MetricLayout::kAbsoluteError];
    squared += rest[i + MetricLayout::kSquaredError];
    const double spread = rest[i + MetricLayout::kSquaredTarget] -
                          ratio(rest[i + MetricLayout::kTarget] * rest[i + MetricLayout::kTarget], count);
    r2 += spread > 0 ? 1 - rest[i + MetricLayout::kSquaredError] / spread : 0;
  }
  const auto targets = static_cast<double>(outputs_);
  values.insert(values.end(), {{"mae", ratio(absolute, count * targets)},
                               {"rmse", std::sqrt(ratio(squared, count * targets))},
                               {"r2", ratio(r2, targets)}});
  return values;
}

std::vector<std::string> metric_names(Prediction prediction) {
  if (prediction == Prediction::numbers) {
    return {"loss", "mae", "rmse", "r2"};
  }
  std::vector<std::string> names = {"loss", "accuracy", "precision", "recall", "f1"};
  if (prediction == Prediction::tokens) {
    names.emplace_back("perplexity");
  }
  return names;
}

}  // namespace regatta

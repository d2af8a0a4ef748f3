// Metrics as sums: what one rank saw is added to what the others saw, and the result is taken at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace regatta {

// What is predicted, and so which metrics there are.
enum class Prediction {
  classes,  // loss, accuracy, precision, recall, f1 (macro: the mean over classes)
  tokens,   // those that continue a text: the same, and perplexity, exp(loss)
  numbers,  // loss, mae, rmse, r2
};

// In a fixed order, for display.
using MetricValues = std::vector<std::pair<std::string, double>>;

// Where MetricSums keeps what: after the header three counts for each class, or four sums for each regression
// target, in the data's own units. A device that adds up by itself writes to the same places.
struct MetricLayout {
  enum : std::size_t { kCount, kLoss, kHeader };
  enum : std::size_t { kHits, kPredicted, kActual, kPerClass };
  enum : std::size_t { kAbsoluteError, kSquaredError, kTarget, kSquaredTarget, kPerTarget };
};

class MetricSums {
 public:
  // outputs: classes, or regression targets. target_scale, one a target, as in the data's normalisation:
  // trained value = (raw value - shift) * scale. Regression errors are told in the data's own units, so they
  // are divided by it; empty: 1.
  static MetricSums classification(std::int64_t classes);
  static MetricSums continuation(std::int64_t tokens);  // classified as well
  static MetricSums regression(std::int64_t targets, std::span<const float> target_scale);

  // outputs: [count, row_stride] of which the first classes/targets of each row count (lanes stand side by
  // side). loss_sum: the summed loss of these samples.
  void add_classified(const float* logits, std::int64_t row_stride, std::span<const std::int32_t> labels,
                      double loss_sum);
  void add_regressed(const float* outputs, std::int64_t row_stride, std::span<const float> targets,
                     double loss_sum);

  void clear();
  // Plain sums: add them up over ranks, or save them in a checkpoint and put them back.
  std::span<double> sums() { return sums_; }
  std::span<const double> sums() const { return sums_; }
  MetricValues result() const;

 private:
  Prediction prediction_ = Prediction::classes;
  std::int64_t outputs_ = 0;
  std::vector<double> scale_;
  std::vector<double> sums_;
};

// What result() will name, for validating `objective:`; prefixed by the caller with train_, val_ or test_.
std::vector<std::string> metric_names(Prediction prediction);

}  // namespace regatta

// The scale is that of the better half, which outliers do not move.
#include "search/models/output_warp.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace regatta {
namespace {

constexpr double kOutlier = 1e4;

}  // namespace

OutputWarp::OutputWarp(std::span<const double> values, double log_knee) : log_knee_(log_knee) {
  CHECK(!values.empty());
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  lowest_ = sorted.front();
  // Where half the values are the lowest, the next one above it tells the scale.
  const auto above = std::upper_bound(sorted.begin(), sorted.end(), lowest_);
  const double median = sorted[sorted.size() / 2];
  const double reference = median > lowest_ ? median : (above != sorted.end() ? *above : lowest_);
  scale_ = reference / 2 - lowest_ / 2;
  scale_ = scale_ > 0 ? std::min(2 * scale_, 1e300) : 1;

  for (const double value : values) {
    mean_ += bent(value) / static_cast<double>(values.size());
  }
  double variance = 0;
  for (const double value : values) {
    variance += std::pow(bent(value) - mean_, 2) / static_cast<double>(values.size());
  }
  deviation_ = variance > 0 ? std::sqrt(variance) : 1;
}

// Times the knee, so that the slope at the lowest value is 1 for every knee.
double OutputWarp::bent(double value) const {
  const double above = std::clamp((value - lowest_) / scale_, -kOutlier, kOutlier);
  const double knee = std::exp(log_knee_);
  return above >= 0 ? knee * std::log1p(above / knee) : above;
}

double OutputWarp::target(double value) const { return (bent(value) - mean_) / deviation_; }

Eigen::VectorXd OutputWarp::targets(std::span<const double> values) const {
  Eigen::VectorXd targets(static_cast<Eigen::Index>(values.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    targets[static_cast<Eigen::Index>(i)] = target(values[i]);
  }
  return targets;
}

OutputWarp::Fit OutputWarp::fit(std::span<const double> values) const {
  const auto count = static_cast<Eigen::Index>(values.size());
  const double knee = std::exp(log_knee_);
  Fit fit{.targets = targets(values), .slope = Eigen::VectorXd(count)};
  for (Eigen::Index i = 0; i < count; ++i) {
    const double above = std::clamp((values[static_cast<std::size_t>(i)] - lowest_) / scale_, 0.0, kOutlier);
    fit.slope[i] = knee * std::log1p(above / knee) - above / (1 + above / knee);
    fit.log_jacobian -= std::log1p(above / knee);
    fit.jacobian_slope += above / (knee + above);
  }
  // Through the mean and the deviation of the bent values.
  const double mean_slope = fit.slope.mean();
  const double log_deviation_slope = fit.targets.dot(fit.slope) / (static_cast<double>(count) * deviation_);
  fit.slope =
      ((fit.slope.array() - mean_slope) / deviation_ - fit.targets.array() * log_deviation_slope).matrix();
  fit.log_jacobian -= static_cast<double>(count) * std::log(deviation_);
  fit.jacobian_slope -= static_cast<double>(count) * log_deviation_slope;
  return fit;
}

}  // namespace regatta

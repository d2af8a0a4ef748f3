// A mean needs only sums over each curve's points, so that it costs O(curves).
#include "search/models/curve_model.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace regatta {
namespace {

constexpr double kRoughLength = 0.15;  // times √coordinates
constexpr double kLeastVariance = 1e-9;

double squared(double x) { return x * x; }

// Room for one more row and column.
void make_room(Eigen::MatrixXd& matrix, Eigen::Index rows) {
  if (matrix.rows() <= rows) {
    matrix.conservativeResize(2 * rows + 64, 2 * rows + 64);
  }
}

}  // namespace

double matern52(double squared_distance) {
  const double a = std::sqrt(5 * squared_distance);
  return (1 + a + a * a / 3) * std::exp(-a);
}

double roughness_kernel(const Eigen::VectorXd& a, const Eigen::VectorXd& b) {
  const auto coordinates = static_cast<double>(std::max<Eigen::Index>(1, a.size()));
  return std::exp(-(a - b).squaredNorm() / (2 * squared(kRoughLength) * coordinates));
}

CurveModel::CurveModel(FeatureLayout layout, CurveHyperparameters hyperparameters)
    : layout_(std::move(layout)),
      hyper_(std::move(hyperparameters)),
      inverse_lengths_(layout_.coordinates()) {
  for (Eigen::Index i = 0; i < layout_.coordinates(); ++i) {
    const int group = layout_.group[static_cast<std::size_t>(i)];
    inverse_lengths_[i] = std::exp(-hyper_.log_lengths.at(static_cast<std::size_t>(group)));
  }
}

CurveModel::Similarity CurveModel::similarity(const Eigen::VectorXd& features) const {
  const auto n = static_cast<Eigen::Index>(curves());
  Similarity similarity{Eigen::VectorXd(n), Eigen::VectorXd(n)};
  for (Eigen::Index i = 0; i < n; ++i) {
    const Eigen::VectorXd& other = features_[static_cast<std::size_t>(i)];
    similarity.smooth[i] = matern52((features - other).cwiseProduct(inverse_lengths_).squaredNorm());
    similarity.rough[i] = roughness_kernel(features, other);
  }
  return similarity;
}

CurveModel::Similarity CurveModel::similarity(int curve) const {
  const auto n = static_cast<Eigen::Index>(curves());
  return {smooth_.col(curve).head(n), rough_.col(curve).head(n)};
}

int CurveModel::add_curve(Eigen::VectorXd features) {
  const Similarity column = similarity(features);
  const auto n = static_cast<Eigen::Index>(curves());
  const auto grow = [n](Eigen::MatrixXd& matrix, const Eigen::VectorXd& added) {
    make_room(matrix, n);
    matrix.col(n).head(n) = added;
    matrix.row(n).head(n) = added.transpose();
    matrix(n, n) = 1;
  };
  grow(smooth_, column.smooth);
  grow(rough_, column.rough);
  features_.push_back(std::move(features));
  return static_cast<int>(n);
}

Eigen::VectorXd CurveModel::covariance(const Similarity& similarity, int curve, double time) const {
  Eigen::VectorXd column(static_cast<Eigen::Index>(points()));
  for (std::size_t p = 0; p < points(); ++p) {
    const int other = point_curves_[p];
    const double product = times_[p] * time;
    column[static_cast<Eigen::Index>(p)] =
        squared(kCurveTrend) * (1 + product) +
        similarity.smooth[other] * (squared(hyper_.level) + squared(hyper_.slope) * product) +
        squared(hyper_.roughness) * similarity.rough[other] +
        (other == curve ? squared(hyper_.wander) * std::min(times_[p], time) : 0);
  }
  return column;
}

double CurveModel::variance_at(double time) const {
  return squared(kCurveTrend) * (1 + time * time) + squared(hyper_.level) + squared(hyper_.slope * time) +
         squared(hyper_.roughness) + squared(hyper_.wander) * time;
}

void CurveModel::add_point(int curve, double time) {
  const auto n = static_cast<Eigen::Index>(points());
  Eigen::VectorXd row = covariance(similarity(curve), curve, time);
  make_room(factor_, n);
  factor_.topLeftCorner(n, n).triangularView<Eigen::Lower>().solveInPlace(row);
  factor_.row(n).head(n) = row.transpose();
  const double own = variance_at(time) + squared(hyper_.noise) + kCurveJitter;
  factor_(n, n) = std::sqrt(std::max(own - row.squaredNorm(), kCurveJitter));
  point_curves_.push_back(curve);
  times_.push_back(time);
}

void CurveModel::keep_points(std::size_t count) {
  CHECK(count <= points());
  point_curves_.resize(count);
  times_.resize(count);
}

void CurveModel::set_values(std::span<const double> values) {
  CHECK(values.size() == points());
  const auto n = static_cast<Eigen::Index>(points());
  weights_ = Eigen::Map<const Eigen::VectorXd>(values.data(), n);
  const auto factor = factor_.topLeftCorner(n, n).triangularView<Eigen::Lower>();
  factor.solveInPlace(weights_);
  factor.transpose().solveInPlace(weights_);
  level_weights_ = Eigen::VectorXd::Zero(static_cast<Eigen::Index>(curves()));
  slope_weights_ = level_weights_;
  for (std::size_t p = 0; p < points(); ++p) {
    const double weight = weights_[static_cast<Eigen::Index>(p)];
    level_weights_[point_curves_[p]] += weight;
    slope_weights_[point_curves_[p]] += weight * times_[p];
  }
}

double CurveModel::mean(const Similarity& similarity, int curve, double time) const {
  double mean = squared(kCurveTrend) * (level_weights_.sum() + time * slope_weights_.sum()) +
                squared(hyper_.level) * similarity.smooth.dot(level_weights_) +
                squared(hyper_.slope) * time * similarity.smooth.dot(slope_weights_) +
                squared(hyper_.roughness) * similarity.rough.dot(level_weights_);
  for (std::size_t p = 0; p < points() && curve != kNewCurve; ++p) {
    if (point_curves_[p] == curve) {
      mean += squared(hyper_.wander) * std::min(times_[p], time) * weights_[static_cast<Eigen::Index>(p)];
    }
  }
  return mean;
}

CurveModel::Prediction CurveModel::predict(const Similarity& similarity, int curve, double time) const {
  Eigen::VectorXd column = covariance(similarity, curve, time);
  const double mean = column.dot(weights_);
  const auto n = static_cast<Eigen::Index>(points());
  factor_.topLeftCorner(n, n).triangularView<Eigen::Lower>().solveInPlace(column);
  return {.mean = mean, .variance = std::max(variance_at(time) - column.squaredNorm(), kLeastVariance)};
}

}  // namespace regatta

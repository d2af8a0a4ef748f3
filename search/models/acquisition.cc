// Values and gradients share nothing but formulas: the former come in batches, the latter one by one.
#include "search/models/acquisition.h"

#include <cmath>
#include <limits>

#include "search/models/expected_improvement.h"

namespace regatta {
namespace {

using Eigen::ArrayXd;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kFailureWidth = 0.15;  // of the neighbourhood that failures tell of, times √coordinates
constexpr double kPriorWeight = 0.05;   // of success, in trials

// How near points (a row each) are, from 1 to 0; and the sum's gradient by `at`.
ArrayXd nearness(const MatrixXd& points, const VectorXd& at) {
  const double width = kFailureWidth * kFailureWidth * static_cast<double>(at.size());
  return (-(points.rowwise() - at.transpose()).rowwise().squaredNorm().array() / (2 * width)).exp();
}
VectorXd nearness_gradient(const MatrixXd& points, const VectorXd& at, const ArrayXd& near) {
  const double width = kFailureWidth * kFailureWidth * static_cast<double>(at.size());
  return (points.rowwise() - at.transpose()).transpose() * near.matrix() / width;
}

// log mean exp over the sets of targets; `shares` become their weights.
double log_mean(const VectorXd& logs, VectorXd& shares) {
  const double highest = logs.maxCoeff();
  shares = (logs.array() - highest).exp();
  const double sum = shares.sum();
  shares /= sum;
  return highest + std::log(sum / static_cast<double>(logs.size()));
}

// At an observed point the mean is the target less the noise's share of it.
VectorXd lowest_means(const GaussianProcess& process) {
  if (process.points().rows() == 0) {
    return VectorXd::Zero(process.targets().cols());
  }
  const MatrixXd means = process.targets() - process.kernel().parameters().noise() * process.weights();
  return means.colwise().minCoeff();
}

}  // namespace

Acquisition::Acquisition(const GaussianProcess& process, MatrixXd succeeded, MatrixXd failed)
    : process_(&process),
      best_(lowest_means(process)),
      succeeded_(std::move(succeeded)),
      failed_(std::move(failed)) {}

VectorXd Acquisition::values(const MatrixXd& at) const {
  const GaussianProcess::Prediction prediction = process_->predict(at);
  VectorXd values(at.rows());
  VectorXd logs(best_.size());
  VectorXd shares;
  for (Index i = 0; i < at.rows(); ++i) {
    for (Index set = 0; set < best_.size(); ++set) {
      logs[set] = log_expected_improvement(prediction.mean(i, set), prediction.variance[i], best_[set]).value;
    }
    values[i] = log_mean(logs, shares) + log_success(at.row(i));
  }
  return values;
}

double Acquisition::value(const VectorXd& at, VectorXd& gradient) const {
  const GaussianProcess::Slope slope = process_->predict_with_gradient(at);
  VectorXd logs(best_.size());
  VectorXd by_mean(best_.size());
  VectorXd by_variance(best_.size());
  for (Index set = 0; set < best_.size(); ++set) {
    const auto improvement = log_expected_improvement(slope.mean[set], slope.variance, best_[set]);
    logs[set] = improvement.value;
    by_mean[set] = improvement.by_mean;
    by_variance[set] = improvement.by_variance;
  }
  VectorXd shares;
  const double value = log_mean(logs, shares);
  gradient =
      slope.mean_gradient * shares.cwiseProduct(by_mean) + shares.dot(by_variance) * slope.variance_gradient;
  return value + log_success(at, gradient);
}

double Acquisition::log_success(const VectorXd& at) const {
  if (failed_.rows() == 0) {
    return 0;
  }
  const double failed = nearness(failed_, at).sum();
  const double succeeded = kPriorWeight + nearness(succeeded_, at).sum();
  return std::log(succeeded / (succeeded + failed));
}

double Acquisition::log_success(const VectorXd& at, VectorXd& gradient) const {
  if (failed_.rows() == 0) {
    return 0;
  }
  const ArrayXd near_failed = nearness(failed_, at);
  const ArrayXd near_succeeded = nearness(succeeded_, at);
  const double succeeded = kPriorWeight + near_succeeded.sum();
  const double all = succeeded + near_failed.sum();
  gradient += nearness_gradient(succeeded_, at, near_succeeded) * (1 / succeeded - 1 / all) -
              nearness_gradient(failed_, at, near_failed) / all;
  return std::log(succeeded / all);
}

}  // namespace regatta

// Values and gradients share nothing but formulas: the former come in batches, the latter one by one.
#include "search/models/acquisition.h"

#include <cmath>
#include <limits>

#include "search/models/expected_improvement.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kFailureStretch = 0.5;  // failures tell of a nearer neighbourhood than values
constexpr double kPriorWeight = 0.1;     // of success, in trials

// log mean exp over the sets of targets; `shares` become their weights.
double log_mean(const VectorXd& logs, VectorXd& shares) {
  const double highest = logs.maxCoeff();
  shares = (logs.array() - highest).exp();
  const double sum = shares.sum();
  shares /= sum;
  return highest + std::log(sum / static_cast<double>(logs.size()));
}

}  // namespace

VectorXd lowest_means(const GaussianProcess& process, const std::vector<Index>& rows) {
  // The mean at an observed point is the target less the noise's share of it.
  const MatrixXd means = process.targets() - process.kernel().parameters().noise() * process.weights();
  if (rows.empty()) {
    return means.colwise().minCoeff();
  }
  return means(rows, Eigen::all).colwise().minCoeff();
}

Acquisition::Acquisition(const GaussianProcess& process, MatrixXd succeeded, MatrixXd failed)
    : process_(&process), succeeded_(std::move(succeeded)), failed_(std::move(failed)) {
  best_ = process.points().rows() > 0 ? lowest_means(process, {}) : VectorXd::Zero(process.targets().cols());
}

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
  const Kernel& kernel = process_->kernel();
  const double failed = kernel.nearness(failed_, at, kFailureStretch).values.sum();
  const double succeeded = kPriorWeight + kernel.nearness(succeeded_, at, kFailureStretch).values.sum();
  return std::log(succeeded / (succeeded + failed));
}

double Acquisition::log_success(const VectorXd& at, VectorXd& gradient) const {
  if (failed_.rows() == 0) {
    return 0;
  }
  const Kernel& kernel = process_->kernel();
  const auto near_failed = kernel.nearness(failed_, at, kFailureStretch);
  const auto near_succeeded = kernel.nearness(succeeded_, at, kFailureStretch);
  const double failed = near_failed.values.sum();
  const double succeeded = kPriorWeight + near_succeeded.values.sum();
  const double all = succeeded + failed;
  gradient += near_succeeded.derivative.colwise().sum().transpose() * (1 / succeeded - 1 / all) -
              near_failed.derivative.colwise().sum().transpose() / all;
  return std::log(succeeded / all);
}

}  // namespace regatta

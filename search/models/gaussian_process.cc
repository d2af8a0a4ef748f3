// Everything goes through one Cholesky factor.
#include "search/models/gaussian_process.h"

#include <Eigen/Cholesky>
#include <cmath>
#include <numbers>

#include "base/check.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kFirstJitter = 1e-10;
constexpr double kLastJitter = 1e2;  // never needed: the largest variance is far below
constexpr double kSmallestVariance = 1e-14;

// The lower factor; empty where the matrix is not positive definite.
MatrixXd cholesky(MatrixXd lower_triangle) {
  const Eigen::LLT<Eigen::Ref<MatrixXd>, Eigen::Lower> decomposition(lower_triangle);
  if (decomposition.info() != Eigen::Success || !lower_triangle.diagonal().allFinite()) {
    return {};
  }
  lower_triangle.triangularView<Eigen::StrictlyUpper>().setZero();
  return lower_triangle;
}

// The factor with the least jitter that it needs, at least `jitter`, which becomes what was added.
MatrixXd stable_cholesky(const MatrixXd& covariance, double& jitter) {
  CHECK(covariance.diagonal().allFinite());
  for (;;) {
    MatrixXd shifted = covariance;
    shifted.diagonal().array() += jitter;
    if (MatrixXd factor = cholesky(std::move(shifted)); factor.size() > 0) {
      return factor;
    }
    jitter = jitter == 0 ? kFirstJitter : 10 * jitter;
    CHECK(jitter <= kLastJitter);
  }
}

}  // namespace

GaussianProcess::GaussianProcess(Kernel kernel, MatrixXd x, MatrixXd targets)
    : kernel_(std::move(kernel)), x_(std::move(x)), targets_(std::move(targets)) {
  CHECK(x_.rows() == targets_.rows() && x_.cols() == kernel_.layout().coordinates());
  factorize();
}

void GaussianProcess::factorize() {
  if (x_.rows() > 0) {
    factor_ = stable_cholesky(kernel_.of_values(x_), jitter_);
  }
  set_targets(std::move(targets_));
}

// The new rows of the factor are those of L⁻¹ times the covariances between old and new, and the factor of
// what is left of the new ones' covariances.
void GaussianProcess::append(const MatrixXd& x, const MatrixXd& targets) {
  CHECK(x.rows() == targets.rows() && targets.cols() == targets_.cols());
  if (x.rows() == 0) {
    return;
  }
  const Index old = x_.rows();
  const Index total = old + x.rows();
  const MatrixXd solved = factor_.triangularView<Eigen::Lower>().solve(kernel_.between(x_, x));  // old × new
  MatrixXd left = kernel_.of_values(x);
  left.triangularView<Eigen::Lower>() -= solved.transpose() * solved;
  left.diagonal().array() += jitter_;
  const MatrixXd corner = cholesky(std::move(left));
  x_.conservativeResize(total, Eigen::NoChange);
  x_.bottomRows(x.rows()) = x;
  MatrixXd all_targets(total, targets.cols());
  all_targets << targets_, targets;
  targets_ = std::move(all_targets);
  if (corner.size() == 0) {
    factorize();
    return;
  }
  factor_.conservativeResize(total, total);
  factor_.rightCols(x.rows()).setZero();
  factor_.bottomLeftCorner(x.rows(), old) = solved.transpose();
  factor_.bottomRightCorner(x.rows(), x.rows()) = corner;
  set_targets(std::move(targets_));
}

void GaussianProcess::set_targets(MatrixXd targets) {
  CHECK(targets.rows() == x_.rows());
  targets_ = std::move(targets);
  weights_ = targets_;
  if (x_.rows() > 0) {
    factor_.triangularView<Eigen::Lower>().solveInPlace(weights_);
    factor_.triangularView<Eigen::Lower>().transpose().solveInPlace(weights_);
  }
}

GaussianProcess::Prediction GaussianProcess::predict(const MatrixXd& at) const {
  MatrixXd covariance = kernel_.between(x_, at);
  Prediction prediction{covariance.transpose() * weights_,
                        VectorXd::Constant(at.rows(), kernel_.parameters().variance())};
  if (x_.rows() > 0) {
    factor_.triangularView<Eigen::Lower>().solveInPlace(covariance);
    prediction.variance -= covariance.colwise().squaredNorm().transpose();
  }
  prediction.variance = prediction.variance.cwiseMax(kSmallestVariance);
  return prediction;
}

GaussianProcess::Slope GaussianProcess::predict_with_gradient(const VectorXd& at) const {
  const Kernel::Slope slope = kernel_.slope(x_, at);
  VectorXd solved = slope.values;
  if (x_.rows() > 0) {
    factor_.triangularView<Eigen::Lower>().solveInPlace(solved);
  }
  const double variance = kernel_.parameters().variance() - solved.squaredNorm();
  if (x_.rows() > 0) {
    factor_.triangularView<Eigen::Lower>().transpose().solveInPlace(solved);
  }
  return {.mean = weights_.transpose() * slope.values,
          .variance = std::max(variance, kSmallestVariance),
          .mean_gradient = slope.derivative.transpose() * weights_,
          .variance_gradient = -2 * (slope.derivative.transpose() * solved)};
}

GaussianProcess::Joint GaussianProcess::predict_jointly(const MatrixXd& at) const {
  MatrixXd covariance = kernel_.between(x_, at);
  Joint joint{covariance.transpose() * weights_, kernel_.of_values(at)};
  if (x_.rows() > 0) {
    factor_.triangularView<Eigen::Lower>().solveInPlace(covariance);
    joint.factor.triangularView<Eigen::Lower>() -= covariance.transpose() * covariance;
  }
  double jitter = 0;
  joint.factor = stable_cholesky(joint.factor, jitter);
  return joint;
}

double GaussianProcess::log_likelihood() const {
  if (x_.rows() == 0) {
    return 0;
  }
  return -targets_.col(0).dot(weights_.col(0)) / 2 - factor_.diagonal().array().log().sum() -
         static_cast<double>(x_.rows()) * std::log(2 * std::numbers::pi) / 2;
}

}  // namespace regatta

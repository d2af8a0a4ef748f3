// What a point promises: the logarithm of its expected improvement over the best value, times the
// probability that it does not fail.
#pragma once

#include <Eigen/Core>

#include "search/models/gaussian_process.h"

namespace regatta {

class Acquisition {
 public:
  // Improvement is measured from the lowest mean at the process's points, which also bears noise. Every set
  // of the process's targets is one way in which running trials may end; the improvement is its mean over
  // them (Snoek, Larochelle, Adams, "Practical Bayesian optimization", NeurIPS 2012, section 3.2).
  // `succeeded` and `failed`: points of trials, a row each.
  Acquisition(const GaussianProcess& process, Eigen::MatrixXd succeeded, Eigen::MatrixXd failed);

  Eigen::VectorXd values(const Eigen::MatrixXd& at) const;
  double value(const Eigen::VectorXd& at, Eigen::VectorXd& gradient) const;

 private:
  // The probability of failure is a kernel-weighted share (Nadaraya 1964, Watson 1964) with a prior.
  double log_success(const Eigen::VectorXd& at) const;
  double log_success(const Eigen::VectorXd& at, Eigen::VectorXd& gradient) const;

  const GaussianProcess* process_;
  Eigen::VectorXd best_;
  Eigen::MatrixXd succeeded_;
  Eigen::MatrixXd failed_;
};

}  // namespace regatta

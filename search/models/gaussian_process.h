// Gaussian process regression: what values a function has, and how sure that is, given some of them.
// Rasmussen and Williams, "Gaussian processes for machine learning" (2006), algorithm 2.1.
#pragma once

#include <Eigen/Core>

#include "search/models/kernel.h"

namespace regatta {

class GaussianProcess {
 public:
  // Rows of x are points. A column of targets is one set of values at all of them; several columns share the
  // covariances, so that their predictions differ in their means only. Values that lie too close for the
  // noise are told apart by more noise. x may be empty.
  GaussianProcess(Kernel kernel, Eigen::MatrixXd x, Eigen::MatrixXd targets);

  // The same as having been made with these rows at the end, for a fraction of the cost.
  void append(const Eigen::MatrixXd& x, const Eigen::MatrixXd& targets);
  // Other values at the same points.
  void set_targets(Eigen::MatrixXd targets);

  struct Prediction {
    Eigen::MatrixXd mean;      // a row a point, a column a set of values
    Eigen::VectorXd variance;  // of the function, without noise; positive
  };
  Prediction predict(const Eigen::MatrixXd& at) const;

  // At one point: by its coordinates, one row each.
  struct Slope {
    Eigen::VectorXd mean;  // an element a set of values
    double variance = 0;
    Eigen::MatrixXd mean_gradient;
    Eigen::VectorXd variance_gradient;
  };
  Slope predict_with_gradient(const Eigen::VectorXd& at) const;

  struct Joint {
    Eigen::MatrixXd mean;
    Eigen::MatrixXd factor;  // lower triangle L; L·Lᵀ is the covariance of noisy values at the points
  };
  // For joint draws: mean + L · (independent standard normals).
  Joint predict_jointly(const Eigen::MatrixXd& at) const;

  // log p(targets) of the first set, equation 2.30.
  double log_likelihood() const;

  const Kernel& kernel() const { return kernel_; }
  const Eigen::MatrixXd& points() const { return x_; }
  const Eigen::MatrixXd& targets() const { return targets_; }
  // The lower Cholesky factor of the values' covariances.
  const Eigen::MatrixXd& factor() const { return factor_; }
  // The covariances' inverse times the targets.
  const Eigen::MatrixXd& weights() const { return weights_; }

 private:
  void factorize();

  Kernel kernel_;
  Eigen::MatrixXd x_;
  Eigen::MatrixXd targets_;
  Eigen::MatrixXd factor_;
  Eigen::MatrixXd weights_;
  double jitter_ = 0;  // added to the noise where the covariances are singular in floating point
};

}  // namespace regatta

// The covariance of the Gaussian process: a Matérn-5/2 kernel over all groups of coordinates together, plus
// one for each group alone, plus a constant. The sum lets the evidence tell whether a function is additive:
// then far fewer values determine it. Duvenaud, Nickisch, Rasmussen, "Additive Gaussian processes", NeurIPS
// 2011; Matérn-5/2: Rasmussen and Williams, "Gaussian processes for machine learning", eq. 4.17.
#pragma once

#include <Eigen/Core>

#include "search/models/features.h"

namespace regatta {

// Logarithms of all, in one vector: what the fit moves.
class KernelParameters {
 public:
  explicit KernelParameters(int groups);  // typical values, see log_prior()
  KernelParameters(int groups, Eigen::VectorXd logs);

  int groups() const { return groups_; }
  const Eigen::VectorXd& logs() const { return logs_; }

  double noise() const { return std::exp(logs_[0]); }           // variance
  double joint_variance() const { return std::exp(logs_[1]); }  // of the kernel over all groups
  double joint_length(int group) const { return std::exp(logs_[2 + group]); }
  double own_variance(int group) const { return std::exp(logs_[2 + groups_ + group]); }
  double own_length(int group) const { return std::exp(logs_[2 + 2 * groups_ + group]); }
  // Of the function at one point, without noise.
  double variance() const;

  // The logarithm of the prior density up to a constant: independent log-normals. Adds to the gradient.
  double log_prior(Eigen::VectorXd& gradient) const;
  Eigen::VectorXd lowest() const;  // the box of the fit, in logarithms
  Eigen::VectorXd highest() const;

  static constexpr double kConstant = 1;  // variance of the unknown mean, in units of the targets' variance

 private:
  int groups_;
  Eigen::VectorXd logs_;
};

class Kernel {
 public:
  Kernel(FeatureLayout layout, KernelParameters parameters);

  const KernelParameters& parameters() const { return parameters_; }
  const FeatureLayout& layout() const { return layout_; }

  // Rows are points. Covariances of the function at every x with that at every y, one column a y.
  Eigen::MatrixXd between(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y) const;
  // Of the noisy values at every x; only the lower triangle is filled.
  Eigen::MatrixXd of_values(const Eigen::MatrixXd& x) const;
  // Σ weights(p, q) ∂ of_values(p, q) / ∂ logs over all p and q; weights are symmetric, and only their
  // lower triangle is read.
  Eigen::VectorXd gradient(const Eigen::MatrixXd& x, const Eigen::MatrixXd& weights) const;

  // Covariances with one point, and their derivatives by its coordinates, one column each.
  struct Slope {
    Eigen::VectorXd values;
    Eigen::MatrixXd derivative;
  };
  Slope slope(const Eigen::MatrixXd& x, const Eigen::VectorXd& at) const;

 private:
  FeatureLayout layout_;
  KernelParameters parameters_;
};

}  // namespace regatta

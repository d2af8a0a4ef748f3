// Values of the objective as targets of a Gaussian process: a monotone map that stretches the range near the
// best value as far as the evidence asks for, as in Snelson, Rasmussen, Ghahramani, "Warped Gaussian
// processes", NeurIPS 2003, then mean 0 and variance 1.
//
// The map is log(1 + (y − lowest) / knee), a Box-Cox transform with λ = 0 and a shift: linear well below the
// knee, logarithmic above it. The knee is measured in the distance from the lowest value to the median.
#pragma once

#include <Eigen/Core>
#include <span>

namespace regatta {

class OutputWarp {
 public:
  static constexpr double kLowestLogKnee = -5;  // e^-5 of the distance from lowest to median
  static constexpr double kHighestLogKnee = 7;  // as good as linear

  // Of finite values, at least one. Beyond kOutlier times the distance from the lowest value to the median,
  // values count as that: an overflow says no more than "bad".
  OutputWarp(std::span<const double> values, double log_knee);

  double log_knee() const { return log_knee_; }
  double target(double value) const;  // monotone
  Eigen::VectorXd targets(std::span<const double> values) const;

  // Of the values it was made from.
  struct Fit {
    Eigen::VectorXd targets;
    Eigen::VectorXd slope;      // derivatives of the targets by log_knee
    double log_jacobian = 0;    // Σ log d target / d value, up to a constant
    double jacobian_slope = 0;  // its derivative by log_knee
  };
  Fit fit(std::span<const double> values) const;

 private:
  double bent(double value) const;

  double lowest_ = 0;
  double scale_ = 1;
  double log_knee_ = 0;
  double mean_ = 0;
  double deviation_ = 1;
};

}  // namespace regatta

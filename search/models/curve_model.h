// A Gaussian process over learning curves: the values of trials at (configuration, time), time being
// log(epoch) / log(max_epochs). The covariance of trial i at t and trial j at t' is
//
//   b² (1 + t t')  +  k(x_i, x_j) (s² + d² t t')  +  r² g(x_i, x_j)  +  [i = j] w² min(t, t')  +  noise n²
//
// the trend of all trials; how a configuration's level and slope differ, k being the Matérn-5/2 kernel with a
// length scale for each parameter; roughness that only near neighbours share (g is a Gaussian kernel of fixed
// length); and how a trial wanders on. Like Swersky, Snoek, Adams, "Freeze-thaw Bayesian optimization",
// arXiv:1406.3896 (2014), but in log time and with slopes that depend on the configuration.
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <span>
#include <vector>

#include "search/models/features.h"

namespace regatta {

struct CurveHyperparameters {
  std::vector<double> log_lengths;  // one a group of features
  double level = 0.7;               // s
  double slope = 0.5;               // d
  double roughness = 0.4;           // r
  double wander = 0.4;              // w
  double noise = 0.08;              // n
};

inline constexpr double kCurveTrend = 1.0;  // b: values are expected to have mean 0 and variance 1
inline constexpr double kCurveJitter = 1e-6;

double matern52(double squared_distance);
double roughness_kernel(const Eigen::VectorXd& a, const Eigen::VectorXd& b);  // g

class CurveModel {
 public:
  CurveModel(FeatureLayout layout, CurveHyperparameters hyperparameters);

  int add_curve(Eigen::VectorXd features);  // the curve's index
  // Another report of a curve: O(points²). The Cholesky factor grows by rows.
  void add_point(int curve, double time);
  void keep_points(std::size_t count);              // forgets all but the first `count`
  void set_values(std::span<const double> values);  // of all points
  std::size_t curves() const { return features_.size(); }
  std::size_t points() const { return times_.size(); }
  const CurveHyperparameters& hyperparameters() const { return hyper_; }

  // What a configuration has in common with each curve: k and g of the formula.
  struct Similarity {
    Eigen::VectorXd smooth;
    Eigen::VectorXd rough;
  };
  Similarity similarity(const Eigen::VectorXd& features) const;
  Similarity similarity(int curve) const;

  struct Prediction {  // of the curve without noise
    double mean = 0;
    double variance = 0;
  };
  static constexpr int kNewCurve = -1;
  // `curve`: the curve whose future this is, or kNewCurve. O(curves), and O(points²) with the variance.
  double mean(const Similarity& similarity, int curve, double time) const;
  Prediction predict(const Similarity& similarity, int curve, double time) const;

 private:
  Eigen::VectorXd covariance(const Similarity& similarity, int curve, double time) const;
  double variance_at(double time) const;

  FeatureLayout layout_;
  CurveHyperparameters hyper_;
  Eigen::VectorXd inverse_lengths_;  // by coordinate
  std::vector<Eigen::VectorXd> features_;
  Eigen::MatrixXd smooth_;  // kernels of the curves; larger than needed, like factor_
  Eigen::MatrixXd rough_;
  std::vector<int> point_curves_;
  std::vector<double> times_;
  Eigen::MatrixXd factor_;
  Eigen::VectorXd weights_;
  // Sums of the weights over a curve's points, and of weight · time.
  Eigen::VectorXd level_weights_;
  Eigen::VectorXd slope_weights_;
};

}  // namespace regatta

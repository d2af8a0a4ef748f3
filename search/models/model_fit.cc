// The likelihood of warped values is the warped targets' times the Jacobian, so the knee is fitted with the
// rest.
#include "search/models/model_fit.h"

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "search/models/box_minimizer.h"

namespace regatta {
namespace {

using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kLogKneeMean = 2;
constexpr double kLogKneeSpread = 2.5;

VectorXd joined(const VectorXd& logs, double log_knee) {
  VectorXd all(logs.size() + 1);
  all << logs, log_knee;
  return all;
}

ModelParameters split(const VectorXd& all, int groups) {
  return {.kernel = KernelParameters(groups, all.head(all.size() - 1)), .log_knee = all[all.size() - 1]};
}

}  // namespace

double log_posterior(const FeatureLayout& layout, const MatrixXd& x, std::span<const double> values,
                     const ModelParameters& parameters, VectorXd& gradient) {
  const OutputWarp warp(values, parameters.log_knee);
  const OutputWarp::Fit warped = warp.fit(values);
  const GaussianProcess process(Kernel(layout, parameters.kernel), x, warped.targets);

  MatrixXd inverse_factor = MatrixXd::Identity(x.rows(), x.rows());
  process.factor().triangularView<Eigen::Lower>().solveInPlace(inverse_factor);
  const VectorXd weights = process.weights().col(0);
  MatrixXd sensitivity = weights * weights.transpose() / 2;
  sensitivity.selfadjointView<Eigen::Lower>().rankUpdate(inverse_factor.transpose(), -0.5);

  VectorXd kernel_gradient = process.kernel().gradient(x, sensitivity);
  double sum = process.log_likelihood() + warped.log_jacobian + parameters.kernel.log_prior(kernel_gradient);
  const double off = (parameters.log_knee - kLogKneeMean) / kLogKneeSpread;
  sum -= off * off / 2;
  gradient =
      joined(kernel_gradient, -weights.dot(warped.slope) + warped.jacobian_slope - off / kLogKneeSpread);
  return sum;
}

ModelFit fit_model(const FeatureLayout& layout, const MatrixXd& x, std::span<const double> values,
                   std::span<const ModelParameters> starts, int evaluations) {
  CHECK(!starts.empty() && !values.empty());
  const auto negative = [&](const VectorXd& all, VectorXd& gradient) {
    const double density = log_posterior(layout, x, values, split(all, layout.groups), gradient);
    gradient = -gradient;
    return -density;
  };
  const KernelParameters typical(layout.groups);
  const VectorXd low = joined(typical.lowest(), OutputWarp::kLowestLogKnee);
  const VectorXd high = joined(typical.highest(), OutputWarp::kHighestLogKnee);
  ModelFit best{.parameters = starts.front(), .log_posterior = -std::numeric_limits<double>::infinity()};
  for (const ModelParameters& start : starts) {
    const BoxMinimum found = minimize_in_box(negative, joined(start.kernel.logs(), start.log_knee), low, high,
                                             {.max_evaluations = evaluations, .tolerance = 1e-3});
    if (-found.value > best.log_posterior) {
      best = {.parameters = split(found.x, layout.groups), .log_posterior = -found.value};
    }
  }
  return best;
}

}  // namespace regatta

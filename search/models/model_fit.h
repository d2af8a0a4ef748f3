// The hyperparameters of a Gaussian process and of the map of its targets, at the maximum of their posterior
// density (MAP). Rasmussen and Williams, eq. 5.9 for the gradient.
#pragma once

#include <Eigen/Core>
#include <span>
#include <vector>

#include "search/models/gaussian_process.h"
#include "search/models/output_warp.h"

namespace regatta {

struct ModelParameters {
  KernelParameters kernel;
  double log_knee = 2;  // of the OutputWarp

  // Where a fit starts that knows nothing.
  static ModelParameters typical(int groups) { return {.kernel = KernelParameters(groups)}; }
};

struct ModelFit {
  ModelParameters parameters;
  double log_posterior = 0;  // up to a constant
};

// log p(values | parameters) + log p(parameters) up to a constant; sets the gradient by the kernel's
// logarithms and, last, log_knee.
double log_posterior(const FeatureLayout& layout, const Eigen::MatrixXd& x, std::span<const double> values,
                     const ModelParameters& parameters, Eigen::VectorXd& gradient);

// The best of the local maxima reached from `starts`, each with at most `evaluations` of the density; their
// cost is cubic in the number of values. Deterministic. values: at least one, finite.
ModelFit fit_model(const FeatureLayout& layout, const Eigen::MatrixXd& x, std::span<const double> values,
                   std::span<const ModelParameters> starts, int evaluations);

}  // namespace regatta

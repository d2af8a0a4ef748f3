// The hyperparameters of a model of learning curves.
#pragma once

#include <span>
#include <vector>

#include "search/models/curve_model.h"

namespace regatta {

struct CurvePoint {
  int curve = 0;  // an index of `features`
  double time = 0;
  double value = 0;
};

// Maximum a posteriori, from the middle of the priors: a function of its arguments alone. The priors are
// log-normal; that of the length scales is centred at 0.2 √groups, so that more dimensions do not make all
// points strangers (Hvarfner, Hellsten, Nardi, "Vanilla Bayesian optimization performs great in high
// dimensions", ICML 2024). O(points³).
CurveHyperparameters fit_curves(const FeatureLayout& layout, std::span<const Eigen::VectorXd> features,
                                std::span<const CurvePoint> points);

// The logarithm of the posterior density, up to a constant, at the logarithms of the hyperparameters (length
// scales, then level, slope, roughness, wander, noise), and its gradient. −∞ where it cannot be computed.
double curve_log_posterior(const FeatureLayout& layout, std::span<const Eigen::VectorXd> features,
                           std::span<const CurvePoint> points, const Eigen::VectorXd& logarithms,
                           Eigen::VectorXd& gradient);

}  // namespace regatta

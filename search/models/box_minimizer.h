// Minimises a smooth function of a few dozen variables in a box: a limited-memory quasi-Newton method whose
// steps are projected onto the box. Nocedal, "Updating quasi-Newton matrices with limited storage", Math.
// Comp. 35 (1980); the active set as in Bertsekas, "Projected Newton methods", SIAM J. Control 20 (1982).
#pragma once

#include <Eigen/Core>
#include <functional>

namespace regatta {

// The value at x; fills the gradient, which has the size of x. A value that is not finite, with any gradient,
// turns the search back.
using SmoothFunction = std::function<double(const Eigen::VectorXd& x, Eigen::VectorXd& gradient)>;

struct BoxMinimizerOptions {
  int max_evaluations = 50;
  double tolerance = 1e-6;  // ends when a step improves the value by less
};

struct BoxMinimum {
  Eigen::VectorXd x;
  double value = 0;  // infinite where the function has no finite value at the start
};

// A local minimum, never above the value at `start` (moved into the box). Deterministic.
BoxMinimum minimize_in_box(const SmoothFunction& function, const Eigen::VectorXd& start,
                           const Eigen::VectorXd& low, const Eigen::VectorXd& high,
                           const BoxMinimizerOptions& options);

}  // namespace regatta

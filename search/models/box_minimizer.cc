// The two-loop recursion over the variables that are not held at a bound.
#include "search/models/box_minimizer.h"

#include <cmath>
#include <deque>
#include <limits>

namespace regatta {
namespace {

using Eigen::VectorXd;

constexpr std::size_t kMemory = 8;
constexpr int kMaxHalvings = 12;

struct Correction {
  VectorXd step;
  VectorXd change;  // of the gradient
};

// Minus the inverse Hessian's approximation times the gradient; `free` is 1 for variables that may move.
VectorXd descent_direction(const std::deque<Correction>& memory, const VectorXd& gradient,
                           const VectorXd& free) {
  VectorXd direction = gradient.cwiseProduct(free);
  std::vector<double> weights(memory.size());
  for (std::size_t i = memory.size(); i-- > 0;) {
    const Correction& correction = memory[i];
    weights[i] = correction.step.dot(direction) / correction.step.dot(correction.change);
    direction -= weights[i] * correction.change;
  }
  if (!memory.empty()) {
    const Correction& newest = memory.back();
    direction *= newest.step.dot(newest.change) / newest.change.squaredNorm();
  }
  for (std::size_t i = 0; i < memory.size(); ++i) {
    const Correction& correction = memory[i];
    const double weight = correction.change.dot(direction) / correction.step.dot(correction.change);
    direction += (weights[i] - weight) * correction.step;
  }
  return -direction.cwiseProduct(free);
}

// Variables at a bound that the gradient pushes outwards are held.
VectorXd free_variables(const VectorXd& x, const VectorXd& gradient, const VectorXd& low,
                        const VectorXd& high) {
  VectorXd free(x.size());
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    const bool held = (x[i] <= low[i] && gradient[i] > 0) || (x[i] >= high[i] && gradient[i] < 0);
    free[i] = held ? 0 : 1;
  }
  return free;
}

}  // namespace

BoxMinimum minimize_in_box(const SmoothFunction& function, const VectorXd& start, const VectorXd& low,
                           const VectorXd& high, const BoxMinimizerOptions& options) {
  BoxMinimum best{.x = start.cwiseMax(low).cwiseMin(high), .value = 0};
  VectorXd gradient(start.size());
  best.value = function(best.x, gradient);
  if (!std::isfinite(best.value) || !gradient.allFinite()) {
    best.value = std::isfinite(best.value) ? best.value : std::numeric_limits<double>::infinity();
    return best;
  }
  std::deque<Correction> memory;
  const double first_step = 0.1 * (high - low).maxCoeff();
  int evaluations = 1;
  while (evaluations < options.max_evaluations) {
    const VectorXd free = free_variables(best.x, gradient, low, high);
    VectorXd direction = descent_direction(memory, gradient, free);
    if (direction.dot(gradient) >= 0 || !direction.allFinite()) {
      memory.clear();
      direction = -gradient.cwiseProduct(free);
    }
    const double length = direction.lpNorm<Eigen::Infinity>();
    if (length == 0) {
      break;
    }
    double scale = memory.empty() ? std::min(1.0, first_step / length) : 1.0;

    // Halved until the value falls as the gradient promises (Armijo).
    bool improved = false;
    double gain = 0;
    for (int halving = 0; halving < kMaxHalvings && evaluations < options.max_evaluations; ++halving) {
      const VectorXd x = (best.x + scale * direction).cwiseMax(low).cwiseMin(high);
      VectorXd new_gradient(x.size());
      const double value = function(x, new_gradient);
      ++evaluations;
      const double promised = gradient.dot(x - best.x);
      if (std::isfinite(value) && new_gradient.allFinite() && value <= best.value + 1e-4 * promised &&
          value < best.value) {
        Correction correction{x - best.x, new_gradient - gradient};
        if (correction.step.dot(correction.change) >
            1e-10 * correction.step.norm() * correction.change.norm()) {
          memory.push_back(std::move(correction));
          if (memory.size() > kMemory) {
            memory.pop_front();
          }
        }
        gain = best.value - value;
        best = {.x = x, .value = value};
        gradient = std::move(new_gradient);
        improved = true;
        break;
      }
      scale *= std::isfinite(value) ? 0.4 : 0.1;
    }
    if (!improved && !memory.empty()) {
      memory.clear();  // once more along the gradient itself
      continue;
    }
    if (!improved || gain < options.tolerance) {
      break;
    }
  }
  return best;
}

}  // namespace regatta

// A density over the space made of kernels, one a trial: the joint product kernels of multivariate TPE
// (Falkner, Klein, Hutter, "BOHB", ICML 2018), each as wide as the gaps to its neighbours (Bergstra et al.,
// "Algorithms for hyper-parameter optimization", NeurIPS 2011).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "search/samplers/axes.h"

namespace regatta {

struct ParzenKernel {
  std::span<const double> coordinates;  // of the trial, as Axes gives them; read during construction only
  double weight = 1;
};

struct ParzenOptions {
  double prior_weight = 1;  // of a uniform kernel that is added: it keeps every point possible
  double narrowest = 0.01;  // no kernel is narrower, in ranges
};

// Proportional to Σ_k w_k Π_j K_kj(x_j) over the axes j that are active in x. Where the trial of a kernel has
// no value, K_kj is uniform, so that the density is proper over a conditional space: it can be drawn from
// parameter by parameter. Numbers have normal kernels, cut off at the ends of the range; discrete ones their
// integrals over a value's cell; categories mix their trial's category with all.
class ParzenMixture {
 public:
  // `axes` must outlive this.
  ParzenMixture(const Axes& axes, std::span<const ParzenKernel> kernels, const ParzenOptions& options);

  // A kernel, with the probability of its weight.
  std::size_t draw_kernel(Draws& draws) const;
  // From this kernel's factor in an axis.
  double draw_coordinate(std::size_t kernel, std::size_t axis, Draws& draws) const;
  // With respect to the uniform distribution: 0 everywhere for the prior alone.
  double log_density(std::span<const double> coordinates) const;

 private:
  struct Factor {                       // of every kernel, the prior last, in one axis
    std::vector<double> centre;         // categories: the index; kInactive: uniform
    std::vector<double> inverse_width;  // 0: uniform
    std::vector<double> log_scale;      // normalises the normal density
    double own_share = 0;               // of a kernel's category, before the rest is divided among all
    double log_own = 0;
    double log_other = 0;
  };

  Factor fit_normal(std::size_t axis, std::span<const ParzenKernel> kernels, double narrowest) const;
  Factor fit_categories(std::size_t axis, std::span<const ParzenKernel> kernels, double prior_weight) const;
  void add_log_factor(std::size_t axis, double coordinate, std::span<double> logs) const;

  const Axes* axes_;
  std::vector<double> cumulative_weight_;
  std::vector<double> log_weight_;
  std::vector<Factor> factors_;
};

}  // namespace regatta

// The covariance matrix adaptation evolution strategy as a distribution that learns from ranked points.
// Hansen, "The CMA evolution strategy: a tutorial", arXiv:1604.00772; equation numbers are of its version 2
// (2023).
#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <vector>

#include "search/samplers/axes.h"

namespace regatta {

// λ by default. The tutorial's 4 + ⌊3 ln n⌋ (equation 48) where categories are learnt too, by counting; else
// half of the logarithm: studies end after a few hundred trials, and more generations matter more than
// larger.
std::size_t default_population(std::size_t dimensions, bool has_categories);

// Strategy parameters of a generation of λ points in n dimensions (tutorial, table 1).
struct CmaParameters {
  CmaParameters(std::size_t dimensions, std::size_t population);

  Eigen::VectorXd weights;  // λ of them, from best to worst; the first μ sum to 1, the last are negative
  std::size_t parents = 0;  // μ: those with positive weight
  double effective = 1;     // μ_eff, of the parents
  double step_rate = 0;     // c_σ
  double step_damping = 1;  // d_σ
  double path_rate = 0;     // c_c
  double rank_one = 0;      // c_1
  double rank_mu = 0;       // c_μ
};

// N(mean, σ² C). Copies are cheap in few dimensions: O(n²).
class CmaDistribution {
 public:
  CmaDistribution(Eigen::VectorXd mean, double sigma);

  Eigen::VectorXd draw(Draws& draws) const;
  // One generation, from best to worst, at least two points. They may come from an older distribution: steps
  // that this one would hardly make are shortened (Hansen, "Injecting external solutions into CMA-ES",
  // arXiv:1110.4181, equation 6).
  void learn(const std::vector<Eigen::VectorXd>& ranked);

  const Eigen::VectorXd& mean() const { return mean_; }
  double sigma() const { return sigma_; }
  const Eigen::MatrixXd& covariance() const { return covariance_; }
  double deviation(Eigen::Index axis) const;  // σ √C_jj
  double largest_deviation() const { return sigma_ * scales_.maxCoeff(); }
  double condition() const;  // of C

 private:
  void decompose();

  Eigen::VectorXd mean_;
  double sigma_;
  Eigen::MatrixXd covariance_;
  Eigen::VectorXd step_path_;   // p_σ
  Eigen::VectorXd path_;        // p_c
  Eigen::MatrixXd directions_;  // B: C = B diag(scales)² Bᵀ
  Eigen::VectorXd scales_;      // D
  int generation_ = 0;
};

}  // namespace regatta

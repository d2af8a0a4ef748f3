// The whole update with negative weights; C is decomposed once a generation, because trials cost more.
#include "search/samplers/cma.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace regatta {
namespace {

// Below this variance in relation to the largest, rounding would decide.
constexpr double kLeastEigenvalue = 1e-14;

// E‖N(0, I)‖.
double expected_length(double n) { return std::sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n)); }

}  // namespace

std::size_t default_population(std::size_t dimensions, bool has_categories) {
  const double logarithm = std::log(std::max<double>(1, static_cast<double>(dimensions)));
  return 4 + static_cast<std::size_t>((has_categories ? 3 : 1) * logarithm);
}

CmaParameters::CmaParameters(std::size_t dimensions, std::size_t population) : parents(population / 2) {
  CHECK(dimensions > 0 && population >= 2);
  const auto n = static_cast<double>(dimensions);
  const auto lambda = static_cast<double>(population);
  weights.resize(static_cast<Eigen::Index>(population));
  for (Eigen::Index i = 0; i < weights.size(); ++i) {
    weights[i] = std::log((lambda + 1) / 2) - std::log(static_cast<double>(i + 1));  // equation 49
  }
  auto best = weights.head(static_cast<Eigen::Index>(parents));
  auto worst = weights.tail(weights.size() - static_cast<Eigen::Index>(parents));
  effective = best.sum() * best.sum() / best.squaredNorm();
  const double effective_worst =
      worst.squaredNorm() > 0 ? worst.sum() * worst.sum() / worst.squaredNorm() : 0;

  step_rate = (effective + 2) / (n + effective + 5);
  step_damping = 1 + 2 * std::max(0.0, std::sqrt((effective - 1) / (n + 1)) - 1) + step_rate;
  path_rate = (4 + effective / n) / (n + 4 + 2 * effective / n);
  rank_one = 2 / ((n + 1.3) * (n + 1.3) + effective);
  rank_mu =
      std::min(1 - rank_one, 2 * (0.25 + effective + 1 / effective - 2) / ((n + 2) * (n + 2) + effective));

  // Equations 50 to 53: so negative that the variance keeps its size, yet C stays positive definite.
  best /= best.sum();
  if (worst.sum() < 0) {
    const double kept = 1 + rank_one / rank_mu;
    const double balanced = 1 + 2 * effective_worst / (effective + 2);
    const double definite = (1 - rank_one - rank_mu) / (n * rank_mu);
    worst *= std::min({kept, balanced, definite}) / -worst.sum();
  }
}

CmaDistribution::CmaDistribution(Eigen::VectorXd mean, double sigma) : mean_(std::move(mean)), sigma_(sigma) {
  const Eigen::Index n = mean_.size();
  covariance_ = Eigen::MatrixXd::Identity(n, n);
  directions_ = covariance_;
  scales_ = Eigen::VectorXd::Ones(n);
  step_path_ = Eigen::VectorXd::Zero(n);
  path_ = step_path_;
}

Eigen::VectorXd CmaDistribution::draw(Draws& draws) const {
  Eigen::VectorXd z(mean_.size());
  for (double& component : z) {
    component = draws.normal();
  }
  return mean_ + sigma_ * (directions_ * scales_.cwiseProduct(z));
}

void CmaDistribution::learn(const std::vector<Eigen::VectorXd>& ranked) {
  const auto n = static_cast<double>(mean_.size());
  const CmaParameters parameters(static_cast<std::size_t>(mean_.size()), ranked.size());
  const double longest = std::sqrt(n) + 2 * n / (n + 2);
  std::vector<Eigen::VectorXd> steps;   // y_i = (x_i − m) / σ
  std::vector<double> squared_lengths;  // ‖C^-½ y_i‖²
  for (const Eigen::VectorXd& point : ranked) {
    Eigen::VectorXd step = (point - mean_) / sigma_;
    const double length = (directions_.transpose() * step).cwiseQuotient(scales_).norm();
    const double factor = std::min(1.0, longest / std::max(length, 1e-300));
    steps.push_back(step * factor);
    squared_lengths.push_back(length * factor * length * factor);
  }

  Eigen::VectorXd mean_step = Eigen::VectorXd::Zero(mean_.size());  // ⟨y⟩_w
  for (std::size_t i = 0; i < parameters.parents; ++i) {
    mean_step += parameters.weights[static_cast<Eigen::Index>(i)] * steps[i];
  }
  mean_ += sigma_ * mean_step;

  const double c_sigma = parameters.step_rate;
  step_path_ = (1 - c_sigma) * step_path_ +
               std::sqrt(c_sigma * (2 - c_sigma) * parameters.effective) *
                   (directions_ * (directions_.transpose() * mean_step).cwiseQuotient(scales_));
  ++generation_;
  const double expected = expected_length(n);
  const double unbiased = std::sqrt(1 - std::pow(1 - c_sigma, 2 * generation_));
  const bool moves = step_path_.norm() / unbiased < (1.4 + 2 / (n + 1)) * expected;  // h_σ
  const double c_c = parameters.path_rate;
  path_ = (1 - c_c) * path_;
  if (moves) {
    path_ += std::sqrt(c_c * (2 - c_c) * parameters.effective) * mean_step;
  }

  const double lost = moves ? 0 : c_c * (2 - c_c);  // δ(h_σ)
  covariance_ *=
      1 + parameters.rank_one * lost - parameters.rank_one - parameters.rank_mu * parameters.weights.sum();
  covariance_ += parameters.rank_one * path_ * path_.transpose();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    double weight = parameters.weights[static_cast<Eigen::Index>(i)];
    if (weight < 0) {
      weight *= n / std::max(squared_lengths[i], 1e-12);
    }
    covariance_ += parameters.rank_mu * weight * steps[i] * steps[i].transpose();
  }
  sigma_ *= std::exp(std::min(1.0, c_sigma / parameters.step_damping * (step_path_.norm() / expected - 1)));
  decompose();
}

void CmaDistribution::decompose() {
  covariance_ = (0.5 * (covariance_ + covariance_.transpose())).eval();
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(covariance_);
  const double largest = std::max(solver.eigenvalues().maxCoeff(), 1e-300);
  const Eigen::VectorXd eigenvalues = solver.eigenvalues().cwiseMax(kLeastEigenvalue * largest);
  directions_ = solver.eigenvectors();
  scales_ = eigenvalues.cwiseSqrt();
  covariance_ = directions_ * eigenvalues.asDiagonal() * directions_.transpose();
}

double CmaDistribution::deviation(Eigen::Index axis) const {
  return sigma_ * std::sqrt(covariance_(axis, axis));
}

double CmaDistribution::condition() const {
  const double ratio = scales_.maxCoeff() / scales_.minCoeff();
  return ratio * ratio;
}

}  // namespace regatta

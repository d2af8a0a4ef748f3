// The update of CMA-ES against a slow reference in plain loops, its invariances, and what it learns.
#include "search/samplers/cma.h"

#include <gmock/gmock.h>

#include <Eigen/Eigenvalues>
#include <Eigen/QR>
#include <algorithm>
#include <cmath>
#include <map>

namespace regatta {
namespace {

using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;

std::vector<Vector> draw_points(const CmaDistribution& distribution, std::size_t count, Draws& draws) {
  std::vector<Vector> points;
  for (std::size_t i = 0; i < count; ++i) {
    points.push_back(distribution.draw(draws));
  }
  return points;
}

template <class Function>
void sort_by(std::vector<Vector>& points, const Function& value) {
  std::sort(points.begin(), points.end(),
            [&](const Vector& a, const Vector& b) { return value(a) < value(b); });
}

double ellipsoid(const Vector& x) {
  double sum = 0;
  for (Eigen::Index i = 0; i < x.size(); ++i) {
    sum += std::pow(100.0, static_cast<double>(i) / static_cast<double>(x.size() - 1)) * x[i] * x[i];
  }
  return sum;
}

// The tutorial's algorithm, element by element: its figure 6, and the constants of its table 1.
class SlowCma {
 public:
  SlowCma(std::vector<double> mean, double sigma)
      : n_(mean.size()),
        mean_(std::move(mean)),
        sigma_(sigma),
        covariance_(n_, std::vector<double>(n_)),
        step_path_(n_),
        path_(n_) {
    for (std::size_t i = 0; i < n_; ++i) {
      covariance_[i][i] = 1;
    }
  }

  void learn(const std::vector<Vector>& ranked) {
    const double n = static_cast<double>(n_);
    const std::size_t lambda = ranked.size();
    const std::size_t mu = lambda / 2;
    std::vector<double> weight(lambda);
    double sum = 0, squares = 0, worst_sum = 0, worst_squares = 0;
    for (std::size_t i = 0; i < lambda; ++i) {
      weight[i] = std::log((static_cast<double>(lambda) + 1) / 2) - std::log(static_cast<double>(i + 1));
      (i < mu ? sum : worst_sum) += weight[i];
      (i < mu ? squares : worst_squares) += weight[i] * weight[i];
    }
    const double mu_eff = sum * sum / squares;
    const double mu_eff_worst = worst_sum * worst_sum / worst_squares;
    const double c_sigma = (mu_eff + 2) / (n + mu_eff + 5);
    const double d_sigma = 1 + 2 * std::max(0.0, std::sqrt((mu_eff - 1) / (n + 1)) - 1) + c_sigma;
    const double c_c = (4 + mu_eff / n) / (n + 4 + 2 * mu_eff / n);
    const double c_1 = 2 / (std::pow(n + 1.3, 2) + mu_eff);
    const double c_mu =
        std::min(1 - c_1, 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / (std::pow(n + 2, 2) + mu_eff));
    const double negative =
        std::min({1 + c_1 / c_mu, 1 + 2 * mu_eff_worst / (mu_eff + 2), (1 - c_1 - c_mu) / (n * c_mu)});
    double total = 0;
    for (std::size_t i = 0; i < lambda; ++i) {
      weight[i] *= i < mu ? 1 / sum : negative / std::abs(worst_sum);
      total += weight[i];
    }

    const Matrix root = inverse_root();
    std::vector<Vector> y;
    for (const Vector& x : ranked) {
      Vector step(x.size());
      for (std::size_t j = 0; j < n_; ++j) {
        step[static_cast<Eigen::Index>(j)] = (x[static_cast<Eigen::Index>(j)] - mean_[j]) / sigma_;
      }
      y.push_back(step);
    }
    Vector mean_step = Vector::Zero(static_cast<Eigen::Index>(n_));
    for (std::size_t i = 0; i < mu; ++i) {
      mean_step += weight[i] * y[i];
    }
    const Vector whitened = root * mean_step;
    double length = 0;
    ++generation_;
    for (std::size_t j = 0; j < n_; ++j) {
      const auto at = static_cast<Eigen::Index>(j);
      mean_[j] += sigma_ * mean_step[at];
      step_path_[j] =
          (1 - c_sigma) * step_path_[j] + std::sqrt(c_sigma * (2 - c_sigma) * mu_eff) * whitened[at];
      length += step_path_[j] * step_path_[j];
    }
    length = std::sqrt(length);
    const double expected = std::sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n * n));
    const double h =
        length / std::sqrt(1 - std::pow(1 - c_sigma, 2 * generation_)) < (1.4 + 2 / (n + 1)) * expected ? 1
                                                                                                        : 0;
    for (std::size_t j = 0; j < n_; ++j) {
      path_[j] = (1 - c_c) * path_[j] +
                 h * std::sqrt(c_c * (2 - c_c) * mu_eff) * mean_step[static_cast<Eigen::Index>(j)];
    }
    for (std::size_t j = 0; j < n_; ++j) {
      for (std::size_t k = 0; k < n_; ++k) {
        double entry = (1 + c_1 * (1 - h) * c_c * (2 - c_c) - c_1 - c_mu * total) * covariance_[j][k] +
                       c_1 * path_[j] * path_[k];
        for (std::size_t i = 0; i < lambda; ++i) {
          const double scale = weight[i] >= 0 ? 1 : n / (root * y[i]).squaredNorm();
          entry += c_mu * weight[i] * scale * y[i][static_cast<Eigen::Index>(j)] *
                   y[i][static_cast<Eigen::Index>(k)];
        }
        next_[{j, k}] = entry;
      }
    }
    for (const auto& [at, entry] : next_) {
      covariance_[at.first][at.second] = entry;
    }
    sigma_ *= std::exp(std::min(1.0, c_sigma / d_sigma * (length / expected - 1)));
  }

  std::size_t n_;
  std::vector<double> mean_;
  double sigma_;
  std::vector<std::vector<double>> covariance_;
  std::vector<double> step_path_, path_;

 private:
  Matrix inverse_root() const {
    Matrix c(static_cast<Eigen::Index>(n_), static_cast<Eigen::Index>(n_));
    for (std::size_t j = 0; j < n_; ++j) {
      for (std::size_t k = 0; k < n_; ++k) {
        c(static_cast<Eigen::Index>(j), static_cast<Eigen::Index>(k)) = covariance_[j][k];
      }
    }
    return Eigen::SelfAdjointEigenSolver<Matrix>(c).operatorInverseSqrt();
  }

  std::map<std::pair<std::size_t, std::size_t>, double> next_;
  int generation_ = 0;
};

TEST(Cma, UpdatesAsTheTutorialSays) {
  for (const std::size_t n : {2U, 5U}) {
    for (const std::size_t population : {4U, 7U, 12U}) {
      SCOPED_TRACE(std::to_string(n) + " dimensions, population " + std::to_string(population));
      CmaDistribution fast(Vector::Constant(static_cast<Eigen::Index>(n), 0.5), 0.2);
      SlowCma slow(std::vector<double>(n, 0.5), 0.2);
      Draws draws(Random(n * 100 + population, "cma test"));
      for (int generation = 0; generation < 12; ++generation) {
        std::vector<Vector> points = draw_points(fast, population, draws);
        // Steps that are shortened are not in the tutorial.
        const double longest =
            std::sqrt(static_cast<double>(n)) + 2.0 * static_cast<double>(n) / (static_cast<double>(n) + 2);
        const Matrix root = Eigen::SelfAdjointEigenSolver<Matrix>(fast.covariance()).operatorInverseSqrt();
        for (Vector& point : points) {
          const double length = (root * (point - fast.mean())).norm() / fast.sigma();
          point = fast.mean() + (point - fast.mean()) * std::min(1.0, 0.99 * longest / length);
        }
        sort_by(points, ellipsoid);
        fast.learn(points);
        slow.learn(points);
        ASSERT_NEAR(fast.sigma(), slow.sigma_, 1e-9 * slow.sigma_);
        for (std::size_t j = 0; j < n; ++j) {
          const auto row = static_cast<Eigen::Index>(j);
          ASSERT_NEAR(fast.mean()[row], slow.mean_[j], 1e-9);
          for (std::size_t k = 0; k < n; ++k) {
            ASSERT_NEAR(fast.covariance()(row, static_cast<Eigen::Index>(k)), slow.covariance_[j][k], 1e-8);
          }
        }
      }
    }
  }
}

TEST(Cma, DoesNotDependOnTheCoordinates) {
  constexpr Eigen::Index kDimensions = 4;
  Draws draws(Random(1, "cma invariance"));
  Matrix random(kDimensions, kDimensions);
  for (double& entry : random.reshaped()) {
    entry = draws.normal();
  }
  const Matrix rotation = Eigen::HouseholderQR<Matrix>(random).householderQ();
  const Vector shift = Vector::Constant(kDimensions, 3);
  const double scale = 7;

  CmaDistribution plain(Vector::Constant(kDimensions, 0.5), 0.3);
  CmaDistribution moved(scale * (rotation * plain.mean()) + shift, scale * 0.3);
  for (int generation = 0; generation < 10; ++generation) {
    std::vector<Vector> points = draw_points(plain, 8, draws);
    sort_by(points, ellipsoid);
    std::vector<Vector> images;
    for (const Vector& point : points) {
      images.push_back(scale * (rotation * point) + shift);
    }
    plain.learn(points);
    moved.learn(images);
    EXPECT_NEAR(moved.sigma(), scale * plain.sigma(), 1e-9);
    EXPECT_TRUE(moved.mean().isApprox(scale * (rotation * plain.mean()) + shift, 1e-9));
    EXPECT_TRUE(moved.covariance().isApprox(rotation * plain.covariance() * rotation.transpose(), 1e-9));
  }
}

TEST(Cma, LearnsTheShapeOfAnEllipsoidAndConverges) {
  CmaDistribution distribution(Vector::Constant(5, 1), 0.5);
  Draws draws(Random(3, "cma ellipsoid"));
  for (int generation = 0; generation < 250; ++generation) {
    std::vector<Vector> points = draw_points(distribution, 8, draws);
    sort_by(points, ellipsoid);
    distribution.learn(points);
  }
  EXPECT_LT(ellipsoid(distribution.mean()), 1e-9);
  // The variances are in proportion to the inverse curvatures, 1 : 100 at the ends.
  const double ratio = distribution.covariance()(0, 0) / distribution.covariance()(4, 4);
  EXPECT_GT(ratio, 20);
  EXPECT_LT(ratio, 500);
}

TEST(Cma, PointsFarOutsideTheDistributionMoveItOnlyALittle) {
  CmaDistribution distribution(Vector::Constant(3, 0.5), 0.1);
  distribution.learn({Vector::Constant(3, 1e6), Vector::Constant(3, 0.5), Vector::Constant(3, 0.4)});
  EXPECT_LT((distribution.mean() - Vector::Constant(3, 0.5)).norm(), 1);
  EXPECT_TRUE(distribution.covariance().allFinite());
}

}  // namespace
}  // namespace regatta

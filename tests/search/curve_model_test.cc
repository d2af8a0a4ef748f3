// The model of learning curves against its definition.
#include "search/models/curve_model.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <cmath>

#include "base/random.h"
#include "search/models/curve_fit.h"
#include "search/models/rank_warp.h"

namespace regatta {
namespace {

constexpr int kDimensions = 2;

FeatureLayout two_numbers() {
  FeatureLayout layout;
  layout.add_number();
  layout.add_number();
  return layout;
}

struct Data {
  std::vector<Eigen::VectorXd> features;
  std::vector<CurvePoint> points;
};

Data random_data(std::uint64_t curves) {
  const Random random(5, "curves");
  Data data;
  for (std::uint64_t i = 0; i < curves; ++i) {
    Eigen::VectorXd x(kDimensions);
    x << random.uniform(10 * i), random.uniform(10 * i + 1);
    data.features.push_back(x);
    for (std::uint64_t t = 0; t <= i % 3; ++t) {
      data.points.push_back(
          {static_cast<int>(i), 0.3 * static_cast<double>(t), random.normal(10 * i + 2 + t)});
    }
  }
  return data;
}

CurveHyperparameters some_hyperparameters() {
  return {
      .log_lengths = {-0.5, 0.3}, .level = 0.8, .slope = 0.6, .roughness = 0.5, .wander = 0.7, .noise = 0.2};
}

// The formula at the head of curve_model.h.
double covariance(const Eigen::VectorXd& x, int i, double t, const Eigen::VectorXd& y, int j, double u) {
  const CurveHyperparameters h = some_hyperparameters();
  double squared = 0;
  for (int c = 0; c < kDimensions; ++c) {
    squared += std::pow((x[c] - y[c]) / std::exp(h.log_lengths[static_cast<std::size_t>(c)]), 2);
  }
  const double a = std::sqrt(5 * squared);
  const double k = (1 + a + a * a / 3) * std::exp(-a);
  const double g = std::exp(-(x - y).squaredNorm() / (2 * 0.15 * 0.15 * kDimensions));
  return 1 + t * u + k * (h.level * h.level + h.slope * h.slope * t * u) + h.roughness * h.roughness * g +
         (i == j ? h.wander * h.wander * std::min(t, u) : 0);
}

TEST(CurveModel, PredictsAsTheTextbookDoes) {
  const Data data = random_data(12);
  CurveModel model(two_numbers(), some_hyperparameters());
  for (const auto& x : data.features) {
    model.add_curve(x);
  }
  std::vector<double> values;
  for (const CurvePoint& point : data.points) {
    model.add_point(point.curve, point.time);
    values.push_back(point.value);
  }
  model.set_values(values);

  const auto n = static_cast<Eigen::Index>(data.points.size());
  Eigen::MatrixXd k(n, n);
  const auto at = [&](Eigen::Index i) { return data.points[static_cast<std::size_t>(i)]; };
  const auto x_of = [&](int curve) { return data.features[static_cast<std::size_t>(curve)]; };
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) {
      k(i, j) =
          covariance(x_of(at(i).curve), at(i).curve, at(i).time, x_of(at(j).curve), at(j).curve, at(j).time) +
          (i == j ? 0.04 + kCurveJitter : 0);
    }
  }
  const Eigen::VectorXd y = Eigen::Map<Eigen::VectorXd>(values.data(), n);
  Eigen::VectorXd elsewhere(kDimensions);
  elsewhere << 0.4, 0.7;
  for (const int curve : {3, CurveModel::kNewCurve}) {
    const Eigen::VectorXd x = curve >= 0 ? x_of(curve) : elsewhere;
    for (const double time : {0.0, 0.5, 1.0}) {
      Eigen::VectorXd column(n);
      for (Eigen::Index i = 0; i < n; ++i) {
        column[i] = covariance(x_of(at(i).curve), at(i).curve, at(i).time, x, curve, time);
      }
      const Eigen::VectorXd solved = k.ldlt().solve(column);
      const auto similarity = curve >= 0 ? model.similarity(curve) : model.similarity(elsewhere);
      const CurveModel::Prediction prediction = model.predict(similarity, curve, time);
      EXPECT_NEAR(prediction.mean, solved.dot(y), 1e-9);
      EXPECT_NEAR(model.mean(similarity, curve, time), solved.dot(y), 1e-9);
      const double own = covariance(x, -2, time, x, -2, time);
      EXPECT_NEAR(prediction.variance, own - solved.dot(column), 1e-9);
    }
  }
}

TEST(CurveFit, TheGradientIsThatOfThePosterior) {
  const Data data = random_data(9);
  const Eigen::Index size = kDimensions + 5;
  Eigen::VectorXd at(size);
  at << -0.5, 0.3, -0.2, -0.5, -0.7, -0.4, -1.6;
  Eigen::VectorXd gradient;
  curve_log_posterior(two_numbers(), data.features, data.points, at, gradient);
  for (Eigen::Index i = 0; i < size; ++i) {
    constexpr double kStep = 1e-5;
    Eigen::VectorXd ignored;
    Eigen::VectorXd up = at;
    Eigen::VectorXd down = at;
    up[i] += kStep;
    down[i] -= kStep;
    const double slope = (curve_log_posterior(two_numbers(), data.features, data.points, up, ignored) -
                          curve_log_posterior(two_numbers(), data.features, data.points, down, ignored)) /
                         (2 * kStep);
    EXPECT_NEAR(gradient[i], slope, 1e-5 * (1 + std::abs(slope))) << i;
  }
}

TEST(CurveFit, FindsOutWhichParameterMatters) {
  const Random random(7, "curves");
  Data data;
  for (std::uint64_t i = 0; i < 60; ++i) {
    Eigen::VectorXd x(kDimensions);
    x << random.uniform(3 * i), random.uniform(3 * i + 1);
    data.features.push_back(x);
    data.points.push_back({static_cast<int>(i), 0, 1.4 * std::sin(7 * x[0])});
  }
  const CurveHyperparameters fitted = fit_curves(two_numbers(), data.features, data.points);
  EXPECT_LT(fitted.log_lengths[0] + 0.5, fitted.log_lengths[1]);
  EXPECT_LT(fitted.noise, 0.1);
}

TEST(RankWarp, KeepsTheOrderAndTiesAndShrinksOutliers) {
  const std::vector<CurveValue> values = {
      {0, 0.3}, {1, 1e30}, {2, 0.5}, {3, 0.3}, {4, std::numeric_limits<double>::infinity()}, {5, 0.4}};
  const std::vector<double> warped = rank_warp(values);
  EXPECT_EQ(warped[0], warped[3]);
  EXPECT_LT(warped[0], warped[5]);
  EXPECT_LT(warped[5], warped[2]);
  EXPECT_LT(warped[2], warped[1]);
  EXPECT_LT(warped[1], warped[4]);
  EXPECT_LT(warped[4] - warped[0], 4);
}

TEST(RankWarp, FailuresAlonePoseNoProblem) {
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<CurveValue> values = {{0, infinity}, {1, infinity}};
  for (const double value : rank_warp(values)) {
    EXPECT_EQ(value, 0);
  }
}

}  // namespace
}  // namespace regatta

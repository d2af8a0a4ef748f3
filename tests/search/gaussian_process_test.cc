// The Gaussian process and what it is made of, against brute force and finite differences.
#include "search/models/gaussian_process.h"

#include <gmock/gmock.h>

#include <Eigen/LU>
#include <cmath>

#include "base/random.h"
#include "search/models/box_minimizer.h"
#include "search/models/model_fit.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

const FeatureLayout kLayout{.group = {0, 1, 1, 2}, .groups = 3};

MatrixXd random_points(Index count, std::string_view stream) {
  const Random random(1, stream);
  MatrixXd points(count, kLayout.coordinates());
  for (Index i = 0; i < points.size(); ++i) {
    points.data()[i] = random.uniform(static_cast<std::uint64_t>(i));
  }
  return points;
}

KernelParameters uneven_parameters() {
  VectorXd logs = KernelParameters(kLayout.groups).logs();
  for (Index i = 0; i < logs.size(); ++i) {
    logs[i] += 0.3 * std::sin(static_cast<double>(7 * i));
  }
  logs[0] = std::log(0.01);
  return {kLayout.groups, logs};
}

MatrixXd some_targets(const MatrixXd& x) {
  MatrixXd targets(x.rows(), 2);
  targets.col(0) = (3 * x.col(0).array()).sin() + x.col(1).array() * x.col(3).array();
  targets.col(1) = x.col(2).array().square() - 1;
  return targets;
}

double correlation(double distance) {
  const double r = std::sqrt(5.0) * distance;
  return (1 + r + r * r / 3) * std::exp(-r);
}

TEST(Kernel, IsTheSumOfAJointKernelOneAGroupAndAConstant) {
  const KernelParameters parameters = uneven_parameters();
  const MatrixXd x = random_points(2, "kernel");
  double joint = 0;
  double expected = KernelParameters::kConstant;
  for (int group = 0; group < kLayout.groups; ++group) {
    double squared = 0;
    for (Index c = 0; c < kLayout.coordinates(); ++c) {
      squared += kLayout.group[static_cast<std::size_t>(c)] == group ? std::pow(x(0, c) - x(1, c), 2) : 0;
    }
    joint += squared / std::pow(parameters.joint_length(group), 2);
    expected +=
        parameters.own_variance(group) * correlation(std::sqrt(squared) / parameters.own_length(group));
  }
  expected += parameters.joint_variance() * correlation(std::sqrt(joint));
  const Kernel kernel(kLayout, parameters);
  EXPECT_NEAR(kernel.between(x, x)(0, 1), expected, 1e-12);
  EXPECT_NEAR(kernel.between(x, x)(1, 1), parameters.variance(), 1e-12);
  EXPECT_NEAR(kernel.of_values(x)(1, 1), parameters.variance() + parameters.noise(), 1e-12);
}

TEST(GaussianProcess, PredictsAsTheFormulasWithAnExplicitInverse) {
  const Kernel kernel(kLayout, uneven_parameters());
  const MatrixXd x = random_points(30, "observed");
  const MatrixXd at = random_points(5, "asked");
  const GaussianProcess process(kernel, x, some_targets(x));
  const MatrixXd lower = kernel.of_values(x);
  const MatrixXd inverse = MatrixXd(lower.selfadjointView<Eigen::Lower>()).inverse();
  const MatrixXd covariance = kernel.between(x, at);
  const auto prediction = process.predict(at);
  EXPECT_LT((prediction.mean - covariance.transpose() * inverse * some_targets(x)).norm(), 1e-8);
  const MatrixXd expected = kernel.between(at, at) - covariance.transpose() * inverse * covariance;
  EXPECT_LT((prediction.variance - expected.diagonal()).norm(), 1e-8);

  const auto joint = process.predict_jointly(at);
  MatrixXd noisy = expected;
  noisy.diagonal().array() += kernel.parameters().noise();
  EXPECT_LT((joint.factor * joint.factor.transpose() - noisy).norm(), 1e-8);
  EXPECT_LT((joint.mean - prediction.mean).norm(), 1e-10);
}

TEST(GaussianProcess, KnowsNothingWithoutValues) {
  const Kernel kernel(kLayout, uneven_parameters());
  const GaussianProcess process(kernel, MatrixXd(0, kLayout.coordinates()), MatrixXd(0, 1));
  const auto prediction = process.predict(random_points(2, "asked"));
  EXPECT_EQ(prediction.mean.norm(), 0);
  EXPECT_NEAR(prediction.variance[0], kernel.parameters().variance(), 1e-12);
}

TEST(GaussianProcess, SlopesAreThoseOfFiniteDifferences) {
  const MatrixXd x = random_points(20, "observed");
  const GaussianProcess process(Kernel(kLayout, uneven_parameters()), x, some_targets(x));
  const VectorXd at = random_points(1, "asked").row(0);
  const auto slope = process.predict_with_gradient(at);
  const auto prediction = process.predict(at.transpose());
  EXPECT_LT((slope.mean - prediction.mean.row(0).transpose()).norm(), 1e-10);
  EXPECT_NEAR(slope.variance, prediction.variance[0], 1e-10);
  constexpr double kStep = 1e-5;
  for (Index c = 0; c < at.size(); ++c) {
    MatrixXd beside(2, at.size());
    beside << at.transpose(), at.transpose();
    beside(0, c) += kStep;
    beside(1, c) -= kStep;
    const auto predicted = process.predict(beside);
    const VectorXd by_difference = (predicted.mean.row(0) - predicted.mean.row(1)).transpose() / (2 * kStep);
    EXPECT_LT((slope.mean_gradient.row(c).transpose() - by_difference).norm(), 1e-6) << c;
    EXPECT_NEAR(slope.variance_gradient[c], (predicted.variance[0] - predicted.variance[1]) / (2 * kStep),
                1e-6);
  }
}

TEST(GaussianProcess, AppendedPointsAreAsGoodAsFirstOnes) {
  const Kernel kernel(kLayout, uneven_parameters());
  const MatrixXd x = random_points(25, "observed");
  const MatrixXd targets = some_targets(x);
  const GaussianProcess whole(kernel, x, targets);
  GaussianProcess grown(kernel, MatrixXd(0, kLayout.coordinates()), MatrixXd(0, 2));
  grown.append(x.topRows(10), targets.topRows(10));
  grown.append(x.middleRows(10, 1), targets.middleRows(10, 1));
  grown.append(x.bottomRows(14), targets.bottomRows(14));
  EXPECT_LT((grown.factor() - whole.factor()).norm(), 1e-10);
  EXPECT_LT((grown.weights() - whole.weights()).norm(), 1e-6);
}

TEST(GaussianProcess, RepeatedPointsWithoutNoiseDoNotBreakIt) {
  VectorXd logs = KernelParameters(kLayout.groups).logs();
  logs[0] = -60;
  const Kernel kernel(kLayout, KernelParameters(kLayout.groups, logs));
  MatrixXd x(6, kLayout.coordinates());
  x.setConstant(0.5);
  MatrixXd targets = VectorXd::LinSpaced(6, -1, 1);
  GaussianProcess process(kernel, x, targets);
  process.append(x, targets);
  EXPECT_NEAR(process.predict(x.topRows(1)).mean(0, 0), 0, 1e-3);
}

TEST(ModelFit, GradientIsThatOfFiniteDifferences) {
  const MatrixXd x = random_points(25, "observed");
  const VectorXd targets = (2 * some_targets(x).col(0)).array().exp();
  const std::span<const double> values(targets.data(), static_cast<std::size_t>(targets.size()));
  const ModelParameters parameters{.kernel = uneven_parameters(), .log_knee = 0.3};
  VectorXd gradient;
  log_posterior(kLayout, x, values, parameters, gradient);
  constexpr double kStep = 1e-5;
  for (Index i = 0; i < gradient.size(); ++i) {
    double side[2];
    for (const int sign : {0, 1}) {
      ModelParameters moved = parameters;
      VectorXd logs = moved.kernel.logs();
      (i < logs.size() ? logs[i] : moved.log_knee) += sign == 0 ? kStep : -kStep;
      moved.kernel = KernelParameters(kLayout.groups, logs);
      VectorXd unused;
      side[sign] = log_posterior(kLayout, x, values, moved, unused);
    }
    EXPECT_NEAR(gradient[i], (side[0] - side[1]) / (2 * kStep), 1e-4 * (1 + std::abs(gradient[i]))) << i;
  }
}

TEST(ModelFit, FindsOutThatAFunctionIsAdditiveAndWhichGroupsMatter) {
  const MatrixXd x = random_points(40, "observed");
  const VectorXd values = (6 * x.col(0).array()).sin() + x.col(3).array().square();
  const ModelParameters start = ModelParameters::typical(kLayout.groups);
  const auto fit = fit_model(kLayout, x, {values.data(), 40}, std::span(&start, 1), 100);
  const OutputWarp warp({values.data(), 40}, fit.parameters.log_knee);
  const GaussianProcess process(Kernel(kLayout, fit.parameters.kernel), x, warp.targets({values.data(), 40}));
  const MatrixXd at = random_points(50, "asked");
  const VectorXd truth = (6 * at.col(0).array()).sin() + at.col(3).array().square();
  const VectorXd error = process.predict(at).mean.col(0) - warp.targets({truth.data(), 50});
  EXPECT_LT(std::sqrt(error.squaredNorm() / 50), 0.05);
  EXPECT_LT(fit.parameters.kernel.joint_variance(), 0.3);
  EXPECT_LT(fit.parameters.kernel.noise(), 1e-3);
}

TEST(OutputWarp, IsMonotoneAndBoundsOutliers) {
  const std::vector<double> values = {3, 1, 2, 5, 1e30, -1};
  for (const double log_knee : {-5.0, 0.0, 7.0}) {
    const OutputWarp warp(values, log_knee);
    const VectorXd targets = warp.targets(values);
    EXPECT_NEAR(targets.mean(), 0, 1e-12);
    EXPECT_NEAR(targets.squaredNorm() / 6, 1, 1e-9);
    EXPECT_LT(warp.target(-1.5), warp.target(-1));
    EXPECT_LT(warp.target(-1), warp.target(1));
    EXPECT_LT(warp.target(3), warp.target(5));
    EXPECT_LE(warp.target(5), warp.target(1e30));
    EXPECT_TRUE(std::isfinite(warp.target(-1e308)));
  }
}

TEST(OutputWarp, EqualAndSingleValuesAreZero) {
  EXPECT_EQ(OutputWarp(std::vector{4.0}, 0).target(4), 0);
  EXPECT_EQ(OutputWarp(std::vector{4.0, 4.0, 4.0}, 0).target(4), 0);
}

TEST(BoxMinimizer, FindsTheBottomOfACurvedValleyAndStopsAtBounds) {
  const auto rosenbrock = [](const VectorXd& x, VectorXd& gradient) {
    const double off = x[1] - x[0] * x[0];
    gradient.resize(2);
    gradient << -400 * x[0] * off - 2 * (1 - x[0]), 200 * off;
    return 100 * off * off + (1 - x[0]) * (1 - x[0]);
  };
  const VectorXd low = VectorXd::Constant(2, -2);
  VectorXd start(2);
  start << -1.2, 1;
  const BoxMinimizerOptions options{.max_evaluations = 300, .tolerance = 1e-14};
  const auto inside = minimize_in_box(rosenbrock, start, low, VectorXd::Constant(2, 2), options);
  EXPECT_LT((inside.x - VectorXd::Ones(2)).norm(), 1e-4);
  // With x0 at most 0.5 the minimum is on the bound, at (0.5, 0.25).
  VectorXd high(2);
  high << 0.5, 2;
  const auto bounded = minimize_in_box(rosenbrock, start, low, high, options);
  EXPECT_NEAR(bounded.x[0], 0.5, 1e-9);
  EXPECT_NEAR(bounded.x[1], 0.25, 1e-4);
}

TEST(Features, DistancesHeedConditionsAndChoices) {
  const Space space = read_space(parse_yaml("{kind: {choice: [a, b, c]}, rate: {float: [0, 4]},"
                                            " depth: {int: [1, 4], when: kind == b}}",
                                            "space.yaml")
                                     .value())
                          .value();
  const FeatureMap map(space);
  EXPECT_EQ(map.layout().groups, 3);
  const auto squared = [&](const Point& a, const Point& b) {
    return (map.features(a) - map.features(b)).squaredNorm();
  };
  const Point inactive = {0.0, 1.0, std::nullopt};
  EXPECT_NEAR(squared(inactive, {2.0, 1.0, std::nullopt}), 1, 1e-12);
  EXPECT_NEAR(squared(inactive, {0.0, 3.0, std::nullopt}), 0.25, 1e-12);
  EXPECT_NEAR(squared({1.0, 1.0, 1.0}, {1.0, 1.0, 4.0}), 0.5625, 1e-12);
  const double half = FeatureMap::kInactive * FeatureMap::kInactive;
  EXPECT_NEAR(squared(inactive, {1.0, 1.0, 3.0}), 1 + half + 0.125 * 0.125, 1e-12);
}

}  // namespace
}  // namespace regatta

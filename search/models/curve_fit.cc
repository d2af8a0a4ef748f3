// The gradient by Rasmussen and Williams, "Gaussian processes for machine learning" (2006), equation 5.9:
// ½ tr((αα' − K⁻¹) ∂K/∂θ).
#include "search/models/curve_fit.h"

#include <Eigen/Cholesky>
#include <array>
#include <cmath>
#include <limits>

#include "search/models/box_minimizer.h"

namespace regatta {
namespace {

enum Amplitude { kLevel, kSlope, kRoughness, kWander, kNoise, kAmplitudes };

struct Prior {  // of a logarithm
  double centre;
  double spread;
};
constexpr std::array<Prior, kAmplitudes> kPriors = {
    {{-0.36, 0.7}, {-0.7, 0.7}, {-0.9, 0.7}, {-0.9, 0.7}, {-2.5, 0.7}}};
constexpr double kLengthCentre = 0.2;  // times √groups
constexpr double kLengthSpread = 0.6;
constexpr double kBoxSpreads = 4;
constexpr int kEvaluations = 20;

Prior prior_of(Eigen::Index index, int groups) {
  return index < groups ? Prior{std::log(kLengthCentre * std::sqrt(groups)), kLengthSpread}
                        : kPriors[static_cast<std::size_t>(index - groups)];
}

// Everything about a pair of points that the covariance and its gradient need.
struct Pair {
  double product;  // of the times
  double smooth;
  double smooth_slope;  // d smooth / d log length is this times (difference / length)²
  double rough;
  double common_time;  // of the same curve, else 0
};

class Posterior {
 public:
  Posterior(const FeatureLayout& layout, std::span<const Eigen::VectorXd> features,
            std::span<const CurvePoint> points, const Eigen::VectorXd& logarithms)
      : layout_(layout),
        features_(features),
        points_(points),
        logarithms_(logarithms),
        inverse_lengths_(layout.coordinates()) {
    for (Eigen::Index i = 0; i < layout.coordinates(); ++i) {
      inverse_lengths_[i] = std::exp(-logarithms[layout.group[static_cast<std::size_t>(i)]]);
    }
    for (int a = 0; a < kAmplitudes; ++a) {
      amplitudes_[static_cast<std::size_t>(a)] = std::exp(2 * logarithms[layout.groups + a]);
    }
  }

  double evaluate(Eigen::VectorXd& gradient) const {
    const auto n = static_cast<Eigen::Index>(points_.size());
    Eigen::MatrixXd covariance(n, n);
    Eigen::VectorXd values(n);
    for (Eigen::Index j = 0; j < n; ++j) {
      values[j] = point(j).value;
      for (Eigen::Index i = j; i < n; ++i) {
        const Pair pair = pair_of(i, j);
        covariance(i, j) = kCurveTrend * kCurveTrend * (1 + pair.product) +
                           pair.smooth * (amplitudes_[kLevel] + amplitudes_[kSlope] * pair.product) +
                           amplitudes_[kRoughness] * pair.rough + amplitudes_[kWander] * pair.common_time +
                           (i == j ? amplitudes_[kNoise] + kCurveJitter : 0);
      }
    }
    const Eigen::LLT<Eigen::MatrixXd> factor(covariance.selfadjointView<Eigen::Lower>());
    gradient = Eigen::VectorXd::Zero(logarithms_.size());
    if (factor.info() != Eigen::Success) {
      return -std::numeric_limits<double>::infinity();
    }
    const Eigen::VectorXd weights = factor.solve(values);
    const double log_determinant = factor.matrixLLT().diagonal().array().log().sum();  // half of it
    const Eigen::MatrixXd inverse = factor.solve(Eigen::MatrixXd::Identity(n, n));
    for (Eigen::Index j = 0; j < n; ++j) {
      for (Eigen::Index i = j; i < n; ++i) {
        const double weight = (weights[i] * weights[j] - inverse(i, j)) * (i == j ? 0.5 : 1.0);
        add_gradient(i, j, weight, gradient);
      }
    }
    return -0.5 * values.dot(weights) - log_determinant + add_priors(gradient);
  }

 private:
  const CurvePoint& point(Eigen::Index i) const { return points_[static_cast<std::size_t>(i)]; }
  const Eigen::VectorXd& at(Eigen::Index i) const {
    return features_[static_cast<std::size_t>(point(i).curve)];
  }

  Pair pair_of(Eigen::Index i, Eigen::Index j) const {
    const double squared = (at(i) - at(j)).cwiseProduct(inverse_lengths_).squaredNorm();
    const double a = std::sqrt(5 * squared);
    return {.product = point(i).time * point(j).time,
            .smooth = matern52(squared),
            .smooth_slope = 5.0 / 3 * (1 + a) * std::exp(-a),
            .rough = roughness_kernel(at(i), at(j)),
            .common_time = point(i).curve == point(j).curve ? std::min(point(i).time, point(j).time) : 0};
  }

  // The derivative of an amplitude's square by its logarithm is twice the square.
  void add_gradient(Eigen::Index i, Eigen::Index j, double weight, Eigen::VectorXd& gradient) const {
    const Pair pair = pair_of(i, j);
    const auto add = [&](Amplitude amplitude, double factor) {
      gradient[layout_.groups + amplitude] += weight * 2 * amplitudes_[amplitude] * factor;
    };
    add(kLevel, pair.smooth);
    add(kSlope, pair.smooth * pair.product);
    add(kRoughness, pair.rough);
    add(kWander, pair.common_time);
    add(kNoise, i == j ? 1 : 0);
    const double common =
        weight * pair.smooth_slope * (amplitudes_[kLevel] + amplitudes_[kSlope] * pair.product);
    for (Eigen::Index c = 0; c < layout_.coordinates(); ++c) {
      const double difference = (at(i)[c] - at(j)[c]) * inverse_lengths_[c];
      gradient[layout_.group[static_cast<std::size_t>(c)]] += common * difference * difference;
    }
  }

  double add_priors(Eigen::VectorXd& gradient) const {
    double sum = 0;
    for (Eigen::Index i = 0; i < logarithms_.size(); ++i) {
      const Prior prior = prior_of(i, layout_.groups);
      const double off = (logarithms_[i] - prior.centre) / prior.spread;
      sum -= off * off / 2;
      gradient[i] -= off / prior.spread;
    }
    return sum;
  }

  const FeatureLayout& layout_;
  std::span<const Eigen::VectorXd> features_;
  std::span<const CurvePoint> points_;
  const Eigen::VectorXd& logarithms_;
  Eigen::VectorXd inverse_lengths_;
  std::array<double, kAmplitudes> amplitudes_{};  // squared
};

}  // namespace

double curve_log_posterior(const FeatureLayout& layout, std::span<const Eigen::VectorXd> features,
                           std::span<const CurvePoint> points, const Eigen::VectorXd& logarithms,
                           Eigen::VectorXd& gradient) {
  return Posterior(layout, features, points, logarithms).evaluate(gradient);
}

CurveHyperparameters fit_curves(const FeatureLayout& layout, std::span<const Eigen::VectorXd> features,
                                std::span<const CurvePoint> points) {
  const Eigen::Index size = layout.groups + kAmplitudes;
  Eigen::VectorXd centre(size);
  Eigen::VectorXd reach(size);
  for (Eigen::Index i = 0; i < size; ++i) {
    const Prior prior = prior_of(i, layout.groups);
    centre[i] = prior.centre;
    reach[i] = kBoxSpreads * prior.spread;
  }
  const auto cost = [&](const Eigen::VectorXd& logarithms, Eigen::VectorXd& gradient) {
    const double value = curve_log_posterior(layout, features, points, logarithms, gradient);
    gradient = -gradient;
    return -value;
  };
  const BoxMinimum minimum = minimize_in_box(cost, centre, centre - reach, centre + reach,
                                             {.max_evaluations = kEvaluations, .tolerance = 1e-3});
  const Eigen::VectorXd best = std::isfinite(minimum.value) ? minimum.x : centre;
  const auto amplitude = [&](Amplitude index) { return std::exp(best[layout.groups + index]); };
  return {.log_lengths = {best.data(), best.data() + layout.groups},
          .level = amplitude(kLevel),
          .slope = amplitude(kSlope),
          .roughness = amplitude(kRoughness),
          .wander = amplitude(kWander),
          .noise = amplitude(kNoise)};
}

}  // namespace regatta

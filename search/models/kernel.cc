// All sums run over whole columns, so that exponentials are computed several at a time.
#include "search/models/kernel.h"

#include <cmath>

#include "base/check.h"

namespace regatta {
namespace {

using Eigen::ArrayXd;
using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

// With r = √5 · distance / length: the correlation, and −(3/r) times its derivative by r, which stays finite.
struct Matern {
  ArrayXd correlation;
  ArrayXd fall;

  explicit Matern(const ArrayXd& squared_r) {
    const ArrayXd r = squared_r.sqrt();
    const ArrayXd decay = (-r).exp();
    correlation = (1 + r + squared_r / 3) * decay;
    fall = (1 + r) * decay;
  }
};

ArrayXd matern(const ArrayXd& squared_r) {
  const ArrayXd r = squared_r.sqrt();
  return (1 + r + squared_r / 3) * (-r).exp();
}

// Squared distances of rows first, first + 1, … to `at`, one column a group.
void squared_distances(const FeatureLayout& layout, const MatrixXd& x, Index first, const VectorXd& at,
                       MatrixXd& distances) {
  const Index rows = x.rows() - first;
  distances.resize(rows, layout.groups);
  int last_group = -1;
  for (Index c = 0; c < layout.coordinates(); ++c) {
    const int group = layout.group[static_cast<std::size_t>(c)];
    const auto squares = (x.col(c).tail(rows).array() - at[c]).square();
    if (group == last_group) {
      distances.col(group).array() += squares;
    } else {
      distances.col(group).array() = squares;
    }
    last_group = group;
  }
}

// Prior medians and spreads of the logarithms.
struct Prior {
  double median;
  double spread;
  double low;
  double high;
};
constexpr Prior kNoise{1e-5, 3.0, 1e-8, 1};
constexpr Prior kJointVariance{0.5, 1.0, 1e-4, 50};
constexpr Prior kJointLength{0.4, 1.0, 0.02, 50};  // times √groups: distances grow so
constexpr Prior kOwnVariance{0.5, 1.5, 1e-6, 50};  // divided by the groups
constexpr Prior kOwnLength{0.4, 1.0, 0.02, 50};

Prior prior_of(int index, int groups) {
  Prior prior = kNoise;
  double unit = 1;
  if (index == 1) {
    prior = kJointVariance;
  } else if (index >= 2 && index < 2 + groups) {
    prior = kJointLength;
    unit = std::sqrt(groups);
  } else if (index >= 2 + groups && index < 2 + 2 * groups) {
    prior = kOwnVariance;
    unit = 1.0 / groups;
  } else if (index >= 2 + 2 * groups) {
    prior = kOwnLength;
  }
  return {prior.median * unit, prior.spread, prior.low, prior.high};
}

}  // namespace

KernelParameters::KernelParameters(int groups) : groups_(groups), logs_(2 + 3 * groups) {
  for (int i = 0; i < logs_.size(); ++i) {
    logs_[i] = std::log(prior_of(i, groups).median);
  }
}

KernelParameters::KernelParameters(int groups, VectorXd logs) : groups_(groups), logs_(std::move(logs)) {
  CHECK(logs_.size() == 2 + 3 * groups);
}

double KernelParameters::variance() const {
  double sum = kConstant + joint_variance();
  for (int group = 0; group < groups_; ++group) {
    sum += own_variance(group);
  }
  return sum;
}

double KernelParameters::log_prior(VectorXd& gradient) const {
  double sum = 0;
  for (int i = 0; i < logs_.size(); ++i) {
    const Prior prior = prior_of(i, groups_);
    const double off = (logs_[i] - std::log(prior.median)) / prior.spread;
    sum -= off * off / 2;
    gradient[i] -= off / prior.spread;
  }
  return sum;
}

VectorXd KernelParameters::lowest() const {
  VectorXd bound(logs_.size());
  for (int i = 0; i < bound.size(); ++i) {
    bound[i] = std::log(prior_of(i, groups_).low);
  }
  return bound;
}

VectorXd KernelParameters::highest() const {
  VectorXd bound(logs_.size());
  for (int i = 0; i < bound.size(); ++i) {
    bound[i] = std::log(prior_of(i, groups_).high);
  }
  return bound;
}

Kernel::Kernel(FeatureLayout layout, KernelParameters parameters)
    : layout_(std::move(layout)), parameters_(std::move(parameters)) {
  CHECK(layout_.groups == parameters_.groups());
}

namespace {

// Covariances of rows first, … with `at`.
ArrayXd covariances(const Kernel& kernel, const MatrixXd& x, Index first, const VectorXd& at,
                    MatrixXd& distances) {
  const KernelParameters& parameters = kernel.parameters();
  squared_distances(kernel.layout(), x, first, at, distances);
  ArrayXd joint = ArrayXd::Zero(distances.rows());
  ArrayXd sum = ArrayXd::Constant(distances.rows(), KernelParameters::kConstant);
  for (int group = 0; group < parameters.groups(); ++group) {
    const auto squares = distances.col(group).array();
    joint += squares * (5 / std::pow(parameters.joint_length(group), 2));
    const double own = parameters.own_variance(group);
    sum += own * matern(squares * (5 / std::pow(parameters.own_length(group), 2)));
  }
  sum += parameters.joint_variance() * matern(joint);
  return sum;
}

}  // namespace

MatrixXd Kernel::between(const MatrixXd& x, const MatrixXd& y) const {
  MatrixXd covariance(x.rows(), y.rows());
  MatrixXd distances;
  for (Index q = 0; q < y.rows(); ++q) {
    covariance.col(q) = covariances(*this, x, 0, y.row(q), distances);
  }
  return covariance;
}

MatrixXd Kernel::of_values(const MatrixXd& x) const {
  MatrixXd covariance = MatrixXd::Zero(x.rows(), x.rows());
  MatrixXd distances;
  for (Index q = 0; q < x.rows(); ++q) {
    covariance.col(q).tail(x.rows() - q) = covariances(*this, x, q, x.row(q), distances);
    covariance(q, q) += parameters_.noise();
  }
  return covariance;
}

VectorXd Kernel::gradient(const MatrixXd& x, const MatrixXd& weights) const {
  const int groups = parameters_.groups();
  VectorXd gradient = VectorXd::Zero(parameters_.logs().size());
  const double diagonal = weights.trace();
  gradient[0] = diagonal * parameters_.noise();
  gradient[1] = diagonal * parameters_.joint_variance();
  for (int group = 0; group < groups; ++group) {
    gradient[2 + groups + group] = diagonal * parameters_.own_variance(group);
  }
  MatrixXd distances;
  for (Index q = 0; q + 1 < x.rows(); ++q) {
    squared_distances(layout_, x, q + 1, x.row(q), distances);
    const Index rows = distances.rows();
    const ArrayXd twice = 2 * weights.col(q).tail(rows).array();  // both triangles
    ArrayXd joint = ArrayXd::Zero(rows);
    for (int group = 0; group < groups; ++group) {
      const double own_scale = 5 / std::pow(parameters_.own_length(group), 2);
      joint += distances.col(group).array() * (5 / std::pow(parameters_.joint_length(group), 2));
      const ArrayXd squared_r = distances.col(group).array() * own_scale;
      const Matern own(squared_r);
      const double variance = parameters_.own_variance(group);
      gradient[2 + groups + group] += variance * (twice * own.correlation).sum();
      gradient[2 + 2 * groups + group] += variance * (twice * squared_r * own.fall).sum() / 3;
    }
    const Matern all(joint);
    const ArrayXd weighted_fall = twice * all.fall * (parameters_.joint_variance() / 3);
    gradient[1] += parameters_.joint_variance() * (twice * all.correlation).sum();
    for (int group = 0; group < groups; ++group) {
      const double scale = 5 / std::pow(parameters_.joint_length(group), 2);
      gradient[2 + group] += scale * (weighted_fall * distances.col(group).array()).sum();
    }
  }
  return gradient;
}

Kernel::Slope Kernel::slope(const MatrixXd& x, const VectorXd& at) const {
  const int groups = parameters_.groups();
  MatrixXd distances;
  squared_distances(layout_, x, 0, at, distances);
  Slope slope{ArrayXd::Constant(x.rows(), KernelParameters::kConstant), MatrixXd(x.rows(), x.cols())};
  ArrayXd joint = ArrayXd::Zero(x.rows());
  MatrixXd own_fall(x.rows(), groups);
  for (int group = 0; group < groups; ++group) {
    const double own_scale = 5 / std::pow(parameters_.own_length(group), 2);
    joint += distances.col(group).array() * (5 / std::pow(parameters_.joint_length(group), 2));
    const Matern own(distances.col(group).array() * own_scale);
    const double variance = parameters_.own_variance(group);
    slope.values.array() += variance * own.correlation;
    own_fall.col(group) = (variance * own_scale / 3) * own.fall;
  }
  const Matern all(joint);
  slope.values.array() += parameters_.joint_variance() * all.correlation;
  for (Index c = 0; c < x.cols(); ++c) {
    const int group = layout_.group[static_cast<std::size_t>(c)];
    const double scale = parameters_.joint_variance() * 5 / std::pow(parameters_.joint_length(group), 2) / 3;
    slope.derivative.col(c).array() =
        (x.col(c).array() - at[c]) * (own_fall.col(group).array() + scale * all.fall);
  }
  return slope;
}

}  // namespace regatta

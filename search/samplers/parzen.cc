// Kernels lie axis by axis, so that a density is a few passes over contiguous numbers.
#include "search/samplers/parzen.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace regatta {
namespace {

constexpr int kMaxDraws = 100;          // a normal kernel lies inside the range by a third at least
constexpr double kLeastMass = 1e-300;   // instead of log(0) far from a narrow kernel
constexpr double kCellsPerWidth = 0.5;  // a kernel reaches its cell's neighbours

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::numbers::sqrt2); }

// The larger of the gaps to both neighbours, for values in rising order; at the ends the only gap.
std::vector<double> neighbour_gaps(std::span<const double> sorted) {
  std::vector<double> gaps(sorted.size(), sorted.size() > 1 ? 0 : 1);
  for (std::size_t i = 0; i + 1 < sorted.size(); ++i) {
    const double gap = sorted[i + 1] - sorted[i];
    gaps[i] = std::max(gaps[i], gap);
    gaps[i + 1] = std::max(gaps[i + 1], gap);
  }
  return gaps;
}

}  // namespace

ParzenMixture::ParzenMixture(const Axes& axes, std::span<const ParzenKernel> kernels,
                             const ParzenOptions& options)
    : axes_(&axes) {
  double total = 0;
  const auto add_weight = [&](double weight) {
    total += weight;
    cumulative_weight_.push_back(total);
    log_weight_.push_back(std::log(weight));
  };
  for (const ParzenKernel& kernel : kernels) {
    add_weight(kernel.weight);
  }
  add_weight(options.prior_weight);
  for (double& log_weight : log_weight_) {
    log_weight -= std::log(total);
  }
  for (std::size_t axis = 0; axis < axes.size(); ++axis) {
    factors_.push_back(axes.kind(axis) == Axes::Kind::categories
                           ? fit_categories(axis, kernels, options.prior_weight)
                           : fit_normal(axis, kernels, options.narrowest));
  }
}

ParzenMixture::Factor ParzenMixture::fit_normal(std::size_t axis, std::span<const ParzenKernel> kernels,
                                                double narrowest) const {
  const std::size_t size = kernels.size() + 1;
  Factor factor{.centre = std::vector<double>(size, 0.5),
                .inverse_width = std::vector<double>(size, 0),
                .log_scale = std::vector<double>(size, 0)};
  std::vector<std::pair<double, std::size_t>> values;  // (coordinate, kernel)
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    if (const double x = kernels[k].coordinates[axis]; !std::isnan(x)) {
      values.emplace_back(x, k);
    }
  }
  std::sort(values.begin(), values.end());
  std::vector<double> sorted;
  for (const auto& value : values) {
    sorted.push_back(value.first);
  }
  const std::vector<double> gaps = neighbour_gaps(sorted);

  if (axes_->kind(axis) == Axes::Kind::cells) {
    narrowest = std::max(narrowest, kCellsPerWidth / static_cast<double>(axes_->count(axis)));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto [x, kernel] = values[i];
    const double width = std::min(std::max(gaps[i], narrowest), 1.0);
    factor.centre[kernel] = x;
    factor.inverse_width[kernel] = 1 / width;
    factor.log_scale[kernel] = -std::log(normal_cdf((1 - x) / width) - normal_cdf(-x / width));
    if (axes_->kind(axis) == Axes::Kind::continuous) {
      factor.log_scale[kernel] -= std::log(width * std::sqrt(2 * std::numbers::pi));
    }
  }
  return factor;
}

// Each kernel shares one prior with all others, so that the more trials agree, the surer the density.
ParzenMixture::Factor ParzenMixture::fit_categories(std::size_t axis, std::span<const ParzenKernel> kernels,
                                                    double prior_weight) const {
  Factor factor{.centre = std::vector<double>(kernels.size() + 1, kInactive)};
  double active = 0;
  for (std::size_t k = 0; k < kernels.size(); ++k) {
    factor.centre[k] = kernels[k].coordinates[axis];
    active += std::isnan(factor.centre[k]) ? 0 : 1;
  }
  const auto count = static_cast<double>(axes_->count(axis));
  const double smoothing = prior_weight / (active + 1);  // of every category
  const double total = 1 + count * smoothing;
  factor.own_share = 1 / total;
  factor.log_own = std::log((1 + smoothing) / total * count);
  factor.log_other = std::log(smoothing / total * count);
  return factor;
}

std::size_t ParzenMixture::draw_kernel(Draws& draws) const {
  const double threshold = draws.uniform() * cumulative_weight_.back();
  const auto kernel = std::upper_bound(cumulative_weight_.begin(), cumulative_weight_.end() - 1, threshold);
  return static_cast<std::size_t>(kernel - cumulative_weight_.begin());
}

double ParzenMixture::draw_coordinate(std::size_t kernel, std::size_t axis, Draws& draws) const {
  const Factor& factor = factors_[axis];
  const double centre = factor.centre[kernel];
  if (axes_->kind(axis) == Axes::Kind::categories) {
    const bool own = !std::isnan(centre) && draws.uniform() < factor.own_share;
    return own ? centre : static_cast<double>(draws.below(axes_->count(axis)));
  }
  if (factor.inverse_width[kernel] == 0) {
    return draws.uniform();
  }
  for (int attempt = 0; attempt < kMaxDraws; ++attempt) {
    const double x = centre + draws.normal() / factor.inverse_width[kernel];
    if (x >= 0 && x < 1) {
      return x;
    }
  }
  return centre;
}

void ParzenMixture::add_log_factor(std::size_t axis, double x, std::span<double> logs) const {
  const Factor& factor = factors_[axis];
  const std::vector<double>& centre = factor.centre;
  const std::vector<double>& inverse_width = factor.inverse_width;
  switch (axes_->kind(axis)) {
    case Axes::Kind::categories:
      for (std::size_t k = 0; k < logs.size(); ++k) {
        logs[k] += std::isnan(centre[k]) ? 0 : centre[k] == x ? factor.log_own : factor.log_other;
      }
      return;
    case Axes::Kind::continuous:
      for (std::size_t k = 0; k < logs.size(); ++k) {
        const double z = (x - centre[k]) * inverse_width[k];
        logs[k] += factor.log_scale[k] - 0.5 * z * z;
      }
      return;
    case Axes::Kind::cells: {
      const Interval cell = axes_->cell(axis, x);
      for (std::size_t k = 0; k < logs.size(); ++k) {
        if (inverse_width[k] > 0) {
          const double mass = normal_cdf((cell.high - centre[k]) * inverse_width[k]) -
                              normal_cdf((cell.low - centre[k]) * inverse_width[k]);
          logs[k] += factor.log_scale[k] + std::log(std::max(mass, kLeastMass) / (cell.high - cell.low));
        }
      }
      return;
    }
  }
}

double ParzenMixture::log_density(std::span<const double> coordinates) const {
  std::vector<double> logs = log_weight_;
  for (std::size_t axis = 0; axis < coordinates.size(); ++axis) {
    if (!std::isnan(coordinates[axis])) {
      add_log_factor(axis, coordinates[axis], logs);
    }
  }
  const double largest = *std::max_element(logs.begin(), logs.end());
  double sum = 0;
  for (const double log : logs) {
    sum += std::exp(log - largest);
  }
  return largest + std::log(sum);
}

}  // namespace regatta

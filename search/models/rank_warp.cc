// Ranks are by weight; the share of a tie is that of its middle.
#include "search/models/rank_warp.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "search/normal_quantile.h"

namespace regatta {
namespace {

constexpr double kValueShare = 0.3;  // of the value itself in the mixture
constexpr double kValueScale = 2;    // from the median to the least, in standard deviations
constexpr double kWorstPlace = 0.5;  // of the same, beyond the median

std::vector<double> weights_of(std::span<const CurveValue> values) {
  std::map<int, int> counts;
  for (const CurveValue& each : values) {
    ++counts[each.curve];
  }
  std::vector<double> weights;
  for (const CurveValue& each : values) {
    weights.push_back(1 / std::sqrt(counts[each.curve]));
  }
  return weights;
}

// Of a share that is kept away from the ends, where it is infinite.
double finite_quantile(double share) { return normal_quantile(std::clamp(share, 1e-6, 1 - 1e-6)); }

}  // namespace

std::vector<double> rank_warp(std::span<const CurveValue> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(values[a].value, a) < std::pair(values[b].value, b);
  });
  const std::vector<double> weights = weights_of(values);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> warped(values.size());
  double below = 0;
  double median = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    std::size_t end = begin;
    double here = 0;
    while (end < order.size() && values[order[end]].value == values[order[begin]].value) {
      here += weights[order[end++]];
    }
    if (below <= total / 2) {
      median = values[order[begin]].value;
    }
    const double quantile = finite_quantile((below + here / 2) / total);
    below += here;
    for (; begin < end; ++begin) {
      warped[order[begin]] = quantile;
    }
  }
  const double least = values.empty() ? 0 : values[order.front()].value;
  if (std::isfinite(median) && median > least) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double place = std::clamp((values[i].value - median) / (median - least), -1.0, kWorstPlace);
      warped[i] = (1 - kValueShare) * warped[i] + kValueShare * kValueScale * place;
    }
  }
  const double mean = std::accumulate(warped.begin(), warped.end(), 0.0) /
                      static_cast<double>(std::max<std::size_t>(1, warped.size()));
  for (double& value : warped) {
    value -= mean;
  }
  return warped;
}

}  // namespace regatta

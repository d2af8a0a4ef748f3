// One histogram a parameter; continuous ones are smoothed by a Gaussian kernel that is cut off at the ends.
#include "search/importance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"
#include "search/earlier.h"
#include "search/evidence.h"

namespace regatta {
namespace {

constexpr double kBestShare = 0.1;
constexpr std::size_t kMinBest = 5;
constexpr std::uint64_t kMaxValuesTold = 16;  // apart; more are smoothed like a continuous range
constexpr std::size_t kBins = 128;
constexpr int kChanceDraws = 32;

std::size_t best_of(std::size_t trials) {
  const auto share = static_cast<std::size_t>(std::ceil(kBestShare * static_cast<double>(trials)));
  return std::min(std::max(share, kMinBest), trials / 2);
}

using Histogram = std::vector<double>;  // adds up to 1

// Σ q (p/q − 1)², of two distributions; where q is 0, so is p.
double pearson_divergence(const Histogram& p, const Histogram& q) {
  double divergence = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    divergence += q[i] > 0 ? (p[i] - q[i]) * (p[i] - q[i]) / q[i] : 0;
  }
  return divergence;
}

// A parameter's values in the trials in which it is active, the best trial first, as bins.
class Distribution {
 public:
  Distribution(std::vector<std::size_t> bins, std::size_t bin_count, bool is_smooth)
      : bins_(std::move(bins)), bin_count_(bin_count), is_smooth_(is_smooth) {}

  // Of the trials at `places` from that of all.
  double divergence_of(const std::vector<std::size_t>& places) const {
    Histogram part(bin_count_);
    for (const std::size_t place : places) {
      part[bins_[place]] += 1.0 / static_cast<double>(places.size());
    }
    Histogram all(bin_count_);
    for (const std::size_t bin : bins_) {
      all[bin] += 1.0 / static_cast<double>(bins_.size());
    }
    if (is_smooth_) {
      const double width = bandwidth(part, places.size());
      return pearson_divergence(smooth(part, width), smooth(all, width));
    }
    return pearson_divergence(part, all);
  }

 private:
  // Scott's rule, in bins.
  static double bandwidth(const Histogram& part, std::size_t count) {
    double mean = 0;
    double square = 0;
    for (std::size_t i = 0; i < part.size(); ++i) {
      mean += part[i] * static_cast<double>(i);
      square += part[i] * static_cast<double>(i) * static_cast<double>(i);
    }
    const double deviation = std::sqrt(std::max(0.0, square - mean * mean));
    return std::max(1.0, 1.06 * deviation * std::pow(static_cast<double>(count), -0.2));
  }

  static Histogram smooth(const Histogram& raw, double width) {
    Histogram smoothed(raw.size());
    std::vector<double> kernel(raw.size());
    for (std::size_t i = 0; i < kernel.size(); ++i) {
      const double distance = static_cast<double>(i) / width;
      kernel[i] = std::exp(-distance * distance / 2);
    }
    const auto weight = [&](std::size_t a, std::size_t b) { return kernel[a < b ? b - a : a - b]; };
    for (std::size_t from = 0; from < raw.size(); ++from) {
      if (raw[from] == 0) {
        continue;
      }
      double total = 0;
      for (std::size_t to = 0; to < raw.size(); ++to) {
        total += weight(from, to);
      }
      for (std::size_t to = 0; to < raw.size(); ++to) {
        smoothed[to] += raw[from] * weight(from, to) / total;
      }
    }
    return smoothed;
  }

  std::vector<std::size_t> bins_;
  std::size_t bin_count_;
  bool is_smooth_;
};

Distribution distribution_of(const Space& space, std::size_t parameter,
                             const std::vector<const Point*>& points) {
  const auto count = space.parameters()[parameter].cardinality();
  const bool is_smooth = !count || *count > kMaxValuesTold;
  const std::size_t bin_count = is_smooth ? kBins : static_cast<std::size_t>(*count);
  std::vector<std::size_t> bins;
  for (const Point* point : points) {
    const double unit = space.to_unit(*point)[parameter];
    bins.push_back(std::min(bin_count - 1, static_cast<std::size_t>(unit * static_cast<double>(bin_count))));
  }
  return {std::move(bins), bin_count, is_smooth};
}

void find_good_values(const Space& space, const std::vector<const Point*>& best,
                      ParameterImportance& result) {
  std::vector<double> numbers;
  for (const Point* point : best) {
    numbers.push_back(*(*point)[result.parameter]);
  }
  result.low = *std::min_element(numbers.begin(), numbers.end());
  result.high = *std::max_element(numbers.begin(), numbers.end());
  const auto* domain = std::get_if<ChoiceDomain>(&space.parameters()[result.parameter].domain);
  for (std::size_t choice = 0; domain != nullptr && choice < domain->choices.size(); ++choice) {
    const auto count =
        static_cast<std::size_t>(std::count(numbers.begin(), numbers.end(), static_cast<double>(choice)));
    if (count > result.choice_count) {
      result.choice = choice;
      result.choice_count = count;
    }
  }
}

ParameterImportance importance_of(const Space& space, std::size_t parameter,
                                  const std::vector<EarlierPoint>& ranked) {
  std::vector<const Point*> active;
  std::size_t succeeded = 0;
  for (const EarlierPoint& each : ranked) {
    if (each.point[parameter]) {
      active.push_back(&each.point);
      succeeded += each.failed ? 0 : 1;
    }
  }
  // Failed trials rank last, and are not among the best where hardly any other trial is left.
  ParameterImportance result{
      .parameter = parameter, .trials = active.size(), .best = std::min(best_of(active.size()), succeeded)};
  if (result.best == 0) {
    return result;
  }
  find_good_values(space, {active.begin(), active.begin() + static_cast<std::ptrdiff_t>(result.best)},
                   result);
  if (active.size() < kMinImportanceTrials) {
    return result;
  }
  const Distribution distribution = distribution_of(space, parameter, active);
  std::vector<std::size_t> places(result.best);
  for (std::size_t i = 0; i < places.size(); ++i) {
    places[i] = i;
  }
  result.divergence = distribution.divergence_of(places);
  const Random random = Random(0, "importance by chance").substream(parameter);
  for (std::uint64_t draw = 0; draw < kChanceDraws; ++draw) {
    const Permutation shuffled(active.size(), random.substream(draw));
    for (std::size_t i = 0; i < places.size(); ++i) {
      places[i] = static_cast<std::size_t>(shuffled[i]);
    }
    result.chance += distribution.divergence_of(places) / kChanceDraws;
  }
  return result;
}

// The ended trials that say something, numbered anew.
EarlierStudy evidence_of(std::span<const Trial> trials) {
  EarlierStudy study;
  for (const Trial& trial : trials) {
    if (is_evidence(trial)) {
      study.trials.push_back(trial);
      study.trials.back().number = static_cast<int>(study.trials.size()) - 1;
    }
  }
  return study;
}

}  // namespace

Result<Importance> parameter_importance(const Space& space, std::span<const Trial> trials) {
  const std::vector<EarlierPoint> ranked = rank_earlier({evidence_of(trials)});
  const auto values = static_cast<std::size_t>(
      std::count_if(ranked.begin(), ranked.end(), [](const EarlierPoint& each) { return !each.failed; }));
  if (values < kMinImportanceTrials) {
    return failure(fmt::format("importance needs at least {} ended trials with a value; there {} {}",
                               kMinImportanceTrials, values == 1 ? "is" : "are", values));
  }
  Importance result{
      .trials = ranked.size(), .best = std::min(best_of(ranked.size()), values), .parameters = {}};
  double total = 0;
  for (std::size_t i = 0; i < space.size(); ++i) {
    ParameterImportance each = importance_of(space, i, ranked);
    const auto active =
        std::count_if(ranked.begin(), ranked.begin() + static_cast<std::ptrdiff_t>(result.best),
                      [&](const EarlierPoint& best) { return best.point[i].has_value(); });
    const double weight = static_cast<double>(active) / static_cast<double>(result.best);
    each.importance = weight * std::max(0.0, each.divergence - each.chance);
    total += each.importance;
    result.parameters.push_back(each);
  }
  for (ParameterImportance& each : result.parameters) {
    each.importance = total > 0 ? each.importance / total : 0;
  }
  std::stable_sort(result.parameters.begin(), result.parameters.end(),
                   [](const auto& a, const auto& b) { return a.importance > b.importance; });
  return result;
}

}  // namespace regatta

// Candidates are unit coordinates; whatever moves them goes through Space::from_unit, so that conditions
// hold.
#include "search/models/acquisition_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>

#include "search/models/box_minimizer.h"
#include "search/samplers/sobol_sequence.h"

namespace regatta {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr std::uint64_t kListedValues = 16;  // a discrete parameter with more is searched around its value
constexpr int kRounds = 3;                   // of gradient ascent and value by value
constexpr std::array kScales = {0.3, 0.1, 0.03, 0.01, 0.002};

bool is_continuous(const Parameter& parameter) { return !parameter.cardinality().has_value(); }

}  // namespace

// The climb from one candidate.
class AcquisitionSearch::Ascent {
 public:
  Ascent(const AcquisitionSearch& search, const Acquisition& acquisition,
         const std::function<bool(const Point&)>& admissible, int evaluations)
      : search_(search), acquisition_(acquisition), admissible_(admissible), evaluations_(evaluations) {}

  void climb(Candidate& candidate) const {
    follow_gradient(candidate);
    for (int round = 0; round < kRounds && change_one_value(candidate); ++round) {
      follow_gradient(candidate);
    }
  }

 private:
  void follow_gradient(Candidate& from) const {
    const auto& parameters = search_.space_->parameters();
    std::vector<std::size_t> moving;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (from.point[i] && is_continuous(parameters[i])) {
        moving.push_back(i);
      }
    }
    if (moving.empty()) {
      return;
    }
    const auto size = static_cast<Index>(moving.size());
    const auto coordinate = [&](Index k) {
      return search_.map_->number_coordinate(moving[static_cast<std::size_t>(k)]);
    };
    VectorXd start(size);
    for (Index k = 0; k < size; ++k) {
      start[k] = from.unit[moving[static_cast<std::size_t>(k)]];
    }
    VectorXd features = from.features;
    VectorXd whole_gradient;
    const auto negative = [&](const VectorXd& unit, VectorXd& gradient) {
      for (Index k = 0; k < size; ++k) {
        features[coordinate(k)] = search_.map_->number_feature(moving[static_cast<std::size_t>(k)], unit[k]);
      }
      const double value = acquisition_.value(features, whole_gradient);
      for (Index k = 0; k < size; ++k) {
        gradient[k] = -whole_gradient[coordinate(k)];
      }
      return -value;
    };
    const BoxMinimum found = minimize_in_box(negative, start, VectorXd::Zero(size), VectorXd::Ones(size),
                                             {.max_evaluations = evaluations_, .tolerance = 1e-4});
    std::vector<double> unit = from.unit;
    for (Index k = 0; k < size; ++k) {
      unit[moving[static_cast<std::size_t>(k)]] = found.x[k];
    }
    Candidate climbed = search_.candidate(std::move(unit));
    climbed.value = -found.value;
    if (climbed.value > from.value && admissible_(climbed.point)) {
      from = std::move(climbed);
    }
  }

  // The best of all candidates that differ in one discrete parameter, if it is better.
  bool change_one_value(Candidate& from) const {
    const auto& parameters = search_.space_->parameters();
    std::vector<Candidate> neighbours;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!from.point[i] || is_continuous(parameters[i])) {
        continue;
      }
      for (const double unit : other_values(parameters[i], from.unit[i])) {
        std::vector<double> changed = from.unit;
        changed[i] = unit;
        Candidate neighbour = search_.candidate(std::move(changed));
        if (neighbour.point != from.point && admissible_(neighbour.point)) {
          neighbours.push_back(std::move(neighbour));
        }
      }
    }
    if (neighbours.empty()) {
      return false;
    }
    score(neighbours, acquisition_);
    const auto best = std::max_element(neighbours.begin(), neighbours.end(),
                                       [](const auto& a, const auto& b) { return a.value < b.value; });
    if (best->value <= from.value) {
      return false;
    }
    from = std::move(*best);
    return true;
  }

  static std::vector<double> other_values(const Parameter& parameter, double unit) {
    const auto count = static_cast<double>(*parameter.cardinality());
    std::vector<double> units;
    if (*parameter.cardinality() <= kListedValues) {
      for (double k = 0; k < count; ++k) {
        units.push_back((k + 0.5) / count);
      }
      return units;
    }
    for (double step = 1 / count; step < 0.5; step *= 2) {
      units.push_back(std::min(unit + step, 1.0));
      units.push_back(std::max(unit - step, 0.0));
    }
    return units;
  }

 public:
  static void score(std::vector<Candidate>& candidates, const Acquisition& acquisition) {
    MatrixXd features(static_cast<Index>(candidates.size()), candidates.front().features.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      features.row(static_cast<Index>(i)) = candidates[i].features;
    }
    const VectorXd values = acquisition.values(features);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      candidates[i].value = values[static_cast<Index>(i)];
    }
  }

 private:
  const AcquisitionSearch& search_;
  const Acquisition& acquisition_;
  const std::function<bool(const Point&)>& admissible_;
  int evaluations_;
};

AcquisitionSearch::AcquisitionSearch(const Space& space, const FeatureMap& map)
    : space_(&space), map_(&map) {}

AcquisitionSearch::Candidate AcquisitionSearch::candidate(std::vector<double> unit) const {
  Candidate candidate{.unit = std::move(unit)};
  candidate.point = space_->from_unit(candidate.unit);
  candidate.features = map_->features(candidate.point);
  return candidate;
}

// An anchor, half the time crossed with another one, then moved in a few parameters at one of the scales.
std::vector<double> AcquisitionSearch::variation(std::span<const std::vector<double>> anchors,
                                                 std::uint64_t index, const Random& random) const {
  const auto& parameters = space_->parameters();
  const Random draws = random.substream(index);
  std::vector<double> unit = anchors[draws.below(0, anchors.size())];
  const std::vector<double>& other = anchors[draws.below(1, anchors.size())];
  const bool crossed = draws.uniform(2) < 0.5;
  const double scale = kScales[draws.below(3, kScales.size())];
  const auto size = static_cast<double>(unit.size());
  const double share = draws.uniform(4) < 0.5 ? 1.0 : std::min(1.0, 2 / size);
  const std::uint64_t always = draws.below(5, unit.size());
  for (std::size_t i = 0; i < unit.size(); ++i) {
    const std::uint64_t at = 8 + 4 * i;
    if (crossed && draws.uniform(at) < 0.5) {
      unit[i] = other[i];
    }
    if (i != always && draws.uniform(at + 1) >= share) {
      continue;
    }
    const auto count = parameters[i].cardinality();
    if (std::holds_alternative<ChoiceDomain>(parameters[i].domain)) {
      // At small scales a choice stays more often than not.
      unit[i] = draws.uniform(at + 2) < 0.2 + scale ? draws.uniform(at + 3) : unit[i];
    } else {
      const double width = count ? std::max(scale, 0.7 / static_cast<double>(*count)) : scale;
      unit[i] = std::clamp(unit[i] + width * draws.normal(at + 2), 0.0, 1.0);
    }
  }
  return unit;
}

std::vector<AcquisitionSearch::Candidate> AcquisitionSearch::first_candidates(
    std::span<const Point> anchors, const AcquisitionSearchOptions& options, const Random& random) const {
  std::vector<Candidate> candidates;
  const bool evenly = space_->size() <= SobolSequence::kMaxDimensions;
  SobolSequence sequence(evenly ? space_->size() : 0, random.substream(0));
  const Random uniform = random.substream(1);
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(options.spread); ++i) {
    std::vector<double> unit = sequence.point(i);
    for (std::size_t k = unit.size(); k < space_->size(); ++k) {
      unit.push_back(uniform.uniform(i * space_->size() + k));
    }
    candidates.push_back(candidate(std::move(unit)));
  }
  if (anchors.empty() || space_->size() == 0) {
    return candidates;
  }
  // Inactive coordinates of anchors are drawn, so that a changed condition starts anywhere.
  std::vector<std::vector<double>> units;
  for (std::size_t a = 0; a < anchors.size(); ++a) {
    units.push_back(space_->to_unit(anchors[a]));
    for (std::size_t k = 0; k < space_->size(); ++k) {
      if (!anchors[a][k]) {
        units.back()[k] = random.substream(2).uniform(a * space_->size() + k);
      }
    }
  }
  const Random variations = random.substream(3);
  for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(options.variations); ++i) {
    candidates.push_back(candidate(variation(units, i, variations)));
  }
  return candidates;
}

std::vector<AcquisitionSearch::Found> AcquisitionSearch::maximize(
    const Acquisition& acquisition, std::span<const Point> anchors, const AcquisitionSearchOptions& options,
    const Random& random, const std::function<bool(const Point&)>& admissible) const {
  std::vector<Candidate> candidates = first_candidates(anchors, options, random);
  std::erase_if(candidates, [&](const Candidate& each) { return !admissible(each.point); });
  if (candidates.empty()) {
    return {};
  }
  Ascent::score(candidates, acquisition);
  const auto better = [](const Candidate& a, const Candidate& b) { return a.value > b.value; };
  std::stable_sort(candidates.begin(), candidates.end(), better);

  const Ascent ascent(*this, acquisition, admissible, options.evaluations);
  const std::size_t starts = std::min(candidates.size(), static_cast<std::size_t>(options.starts));
  for (std::size_t i = 0; i < starts; ++i) {
    ascent.climb(candidates[i]);
  }
  std::stable_sort(candidates.begin(), candidates.end(), better);
  std::vector<Found> found;
  std::set<Point> seen;
  for (Candidate& each : candidates) {
    if (seen.insert(each.point).second) {
      found.push_back({.point = std::move(each.point), .value = each.value});
    }
  }
  return found;
}

}  // namespace regatta

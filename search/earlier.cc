// Places first, then quantiles; points are told apart in the unit cube.
#include "search/earlier.h"

#include <algorithm>
#include <cmath>

#include "search/evidence.h"
#include "search/pareto.h"

namespace regatta {
namespace {

constexpr std::size_t kEnoughValues = 10;    // at an epoch, for the values there to be compared
constexpr double kPromising = 0.3;           // the largest quantile of a point that is tried
constexpr double kApart = 0.1;               // of the unit cube, in the parameter that differs most
constexpr std::size_t kMaxDominated = 1000;  // values of several objectives that are compared pair by pair

// A number a trial, lower is better, in which only the order counts.
std::vector<double> scalar_values(const std::vector<std::vector<double>>& values) {
  std::vector<double> scalars;
  const bool by_dominance = !values.empty() && values[0].size() > 1 && values.size() <= kMaxDominated;
  for (const auto& value : values) {
    const auto dominators = by_dominance
                                ? std::count_if(values.begin(), values.end(),
                                                [&](const auto& other) { return dominates(other, value); })
                                : 0;
    scalars.push_back(by_dominance ? static_cast<double>(dominators) : value[0]);
  }
  return scalars;
}

struct Rank {
  int trial = 0;
  int group = 0;  // observed, stopped, failed
  double value = 0;
  auto key() const { return std::pair(group, value); }
};

std::vector<EarlierPoint> rank_study(const EarlierStudy& study, std::size_t index) {
  const Evidence evidence = gather_evidence(study.trials, std::max(kEnoughValues, study.trials.size() / 5));
  std::vector<Rank> places;
  const std::vector<double> values = scalar_values(evidence.values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    places.push_back({.trial = evidence.observed[i], .group = 0, .value = values[i]});
  }
  for (const int trial : evidence.stopped) {
    places.push_back({.trial = trial, .group = 1});
  }
  for (const int trial : evidence.failed) {
    places.push_back({.trial = trial, .group = 2});
  }
  std::stable_sort(places.begin(), places.end(),
                   [](const Rank& a, const Rank& b) { return a.key() < b.key(); });
  std::vector<EarlierPoint> ranked;
  for (std::size_t begin = 0, end = 0; begin < places.size(); begin = end) {
    while (end < places.size() && places[end].key() == places[begin].key()) {
      ++end;
    }
    const double middle = static_cast<double>(begin + end) / 2;
    for (std::size_t i = begin; i < end; ++i) {
      ranked.push_back({.point = study.trials[static_cast<std::size_t>(places[i].trial)].point,
                        .quantile = middle / static_cast<double>(places.size()),
                        .study = index,
                        .failed = places[i].group == 2});
    }
  }
  return ranked;
}

// The largest difference of a parameter; another choice, or one that is missing, counts as 1.
double distance(const Space& space, const Point& a, const Point& b) {
  const std::vector<double> unit_a = space.to_unit(a);
  const std::vector<double> unit_b = space.to_unit(b);
  double largest = 0;
  for (std::size_t i = 0; i < space.size(); ++i) {
    const bool is_choice = std::holds_alternative<ChoiceDomain>(space.parameters()[i].domain);
    const bool is_other = a[i].has_value() != b[i].has_value() || (is_choice && a[i] != b[i]);
    largest = std::max(largest, is_other ? 1 : std::abs(unit_a[i] - unit_b[i]));
  }
  return largest;
}

}  // namespace

std::vector<EarlierPoint> rank_earlier(const std::vector<EarlierStudy>& studies) {
  std::vector<EarlierPoint> ranked;
  for (std::size_t i = 0; i < studies.size(); ++i) {
    std::vector<EarlierPoint> more = rank_study(studies[i], i);
    ranked.insert(ranked.end(), more.begin(), more.end());
  }
  return ranked;
}

std::vector<Point> promising_points(const Space& space, std::span<const EarlierPoint> ranked,
                                    std::size_t count) {
  std::vector<std::vector<const EarlierPoint*>> studies;
  for (const EarlierPoint& each : ranked) {
    studies.resize(std::max(studies.size(), each.study + 1));
    if (!each.failed && (each.quantile <= kPromising || studies[each.study].empty())) {
      studies[each.study].push_back(&each);
    }
  }
  std::vector<Point> chosen;
  const auto is_apart = [&](const EarlierPoint* candidate) {
    return std::none_of(chosen.begin(), chosen.end(), [&](const Point& point) {
      return distance(space, point, candidate->point) < kApart;
    });
  };
  for (bool found = true; found && chosen.size() < count;) {
    found = false;
    for (auto& study : studies) {
      const auto next = std::find_if(study.begin(), study.end(), is_apart);
      if (next != study.end() && chosen.size() < count) {
        chosen.push_back((*next)->point);
        study.erase(study.begin(), next + 1);
        found = true;
      }
    }
  }
  return chosen;
}

}  // namespace regatta

// Pairs are compared one by one: the top rungs hold few trials.
#include "search/schedulers/rank_stability.h"

#include <algorithm>
#include <cmath>

#include "search/schedulers/quantile.h"
#include "search/schedulers/ranked_rung.h"

namespace regatta {
namespace {

constexpr double kNoisePercentile = 90;

struct Crossing {
  int changes = 0;  // of the order
  double distance = 0;
};

Crossing compare(const std::vector<Score>& a, const std::vector<Score>& b) {
  Crossing crossing;
  int order = 0;
  auto at = a.begin();
  for (const Score& score : b) {
    at = std::find_if(at, a.end(), [&](const Score& other) { return other.epoch >= score.epoch; });
    if (at == a.end()) {
      break;
    }
    if (at->epoch != score.epoch) {
      continue;
    }
    const double difference = at->values.front() - score.values.front();
    const int here = difference < 0 ? -1 : difference > 0 ? 1 : order;
    crossing.changes += order != 0 && here != order ? 1 : 0;
    crossing.distance = std::abs(difference);
    order = here;
  }
  return crossing;
}

std::vector<Ranked> sorted(const std::map<int, double>& values) {
  std::vector<Ranked> ranking;
  for (const auto& [trial, value] : values) {
    ranking.push_back({value, trial});
  }
  std::sort(ranking.begin(), ranking.end());
  return ranking;
}

}  // namespace

double ranking_noise(const std::map<int, std::vector<Score>>& curves) {
  std::vector<double> distances;
  for (auto a = curves.begin(); a != curves.end(); ++a) {
    for (auto b = std::next(a); b != curves.end(); ++b) {
      const Crossing crossing = compare(a->second, b->second);
      if (crossing.changes >= 2) {
        distances.push_back(crossing.distance);
      }
    }
  }
  std::sort(distances.begin(), distances.end());
  return distances.empty() ? 0 : percentile_of(distances, kNoisePercentile);
}

bool same_ranking(const std::map<int, double>& lower, const std::map<int, double>& upper, double noise) {
  std::map<int, double> before;
  for (const auto& [trial, value] : upper) {
    before[trial] = lower.at(trial);
  }
  const std::vector<Ranked> was = sorted(before);
  const std::vector<Ranked> is = sorted(upper);
  for (std::size_t place = 0; place < is.size(); ++place) {
    const double here = before.at(is[place].trial);
    // A failed trial's value is infinite.
    if (here != was[place].value && !(std::abs(here - was[place].value) <= noise)) {
      return false;
    }
  }
  return true;
}

}  // namespace regatta

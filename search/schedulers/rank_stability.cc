// A report changes only the pairs of its trial, so the others' distances are kept.
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

void RankingNoise::update(int trial, const std::vector<Score>& curve) {
  curves_[trial] = curve;
  for (const auto& [other, others_curve] : curves_) {
    if (other == trial) {
      continue;
    }
    const std::pair pair = std::minmax({trial, other});
    if (const auto known = distance_of_.find(pair); known != distance_of_.end()) {
      distances_.erase(std::lower_bound(distances_.begin(), distances_.end(), known->second));
      distance_of_.erase(known);
    }
    const Crossing crossing = compare(curve, others_curve);
    if (crossing.changes >= 2) {
      distance_of_.emplace(pair, crossing.distance);
      distances_.insert(std::lower_bound(distances_.begin(), distances_.end(), crossing.distance),
                        crossing.distance);
    }
  }
}

double RankingNoise::value() const {
  return distances_.empty() ? 0 : percentile_of(distances_, kNoisePercentile);
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

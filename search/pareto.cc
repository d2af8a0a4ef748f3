// Sorting makes the rest short: a point can only be dominated by one that stands before it in lexicographic
// order.
#include "search/pareto.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace regatta {
namespace {

std::vector<std::size_t> lexicographic_order(std::span<const Objectives> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  return order;
}

// Whether a member of the front dominates `point`; the members stand in lexicographic order. With two
// objectives the second falls from member to member, so that the last one decides.
bool front_dominates(std::span<const Objectives> values, const std::vector<std::size_t>& front,
                     const Objectives& point) {
  if (point.size() == 2) {
    return dominates(values[front.back()], point);
  }
  return std::any_of(front.rbegin(), front.rend(),
                     [&](std::size_t member) { return dominates(values[member], point); });
}

std::vector<Objectives> first_front(std::span<const Objectives> points) {
  const std::vector<std::size_t> fronts = nondominated_fronts(points);
  std::vector<Objectives> first;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (fronts[i] == 0) {
      first.push_back(points[i]);
    }
  }
  return first;
}

double box_volume(const Objectives& point, const Objectives& reference) {
  double volume = 1;
  for (std::size_t i = 0; i < point.size(); ++i) {
    volume *= reference[i] - point[i];
  }
  return volume;
}

// Each point adds its box, less what the points after it cover of this box.
double volume_of_front(std::span<const Objectives> front, const Objectives& reference) {
  double volume = 0;
  for (std::size_t i = 0; i < front.size(); ++i) {
    std::vector<Objectives> covered;
    for (const Objectives& other : front.subspan(i + 1)) {
      Objectives corner = other;
      for (std::size_t j = 0; j < corner.size(); ++j) {
        corner[j] = std::max(corner[j], front[i][j]);
      }
      covered.push_back(std::move(corner));
    }
    volume += box_volume(front[i], reference) - volume_of_front(first_front(covered), reference);
  }
  return volume;
}

}  // namespace

bool dominates(const Objectives& a, const Objectives& b) {
  CHECK(a.size() == b.size());
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] > b[i]) {
      return false;
    }
    better = better || a[i] < b[i];
  }
  return better;
}

std::vector<std::size_t> nondominated_fronts(std::span<const Objectives> values) {
  std::vector<std::size_t> front_of(values.size());
  std::vector<std::vector<std::size_t>> fronts;
  for (const std::size_t i : lexicographic_order(values)) {
    // Whoever is dominated by a member of a front is dominated by one of each front before it.
    const auto front = std::partition_point(fronts.begin(), fronts.end(), [&](const auto& members) {
      return front_dominates(values, members, values[i]);
    });
    front_of[i] = static_cast<std::size_t>(front - fronts.begin());
    if (front == fronts.end()) {
      fronts.push_back({i});
    } else {
      front->push_back(i);
    }
  }
  return front_of;
}

std::vector<double> crowding_distances(std::span<const Objectives> front) {
  std::vector<double> distance(front.size(), 0);
  std::vector<std::size_t> order(front.size());
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t j = 0; !front.empty() && j < front[0].size(); ++j) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return front[a][j] < front[b][j]; });
    const double range = front[order.back()][j] - front[order.front()][j];
    distance[order.front()] = distance[order.back()] = std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i + 1 < order.size() && range > 0; ++i) {
      distance[order[i]] += (front[order[i + 1]][j] - front[order[i - 1]][j]) / range;
    }
  }
  return distance;
}

std::vector<std::size_t> pareto_order(std::span<const Objectives> values) {
  const std::vector<std::size_t> front_of = nondominated_fronts(values);
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return front_of[a] < front_of[b]; });
  std::vector<double> loneliness(values.size());
  for (auto begin = order.begin(); begin != order.end();) {
    const auto end =
        std::find_if(begin, order.end(), [&](auto i) { return front_of[i] != front_of[*begin]; });
    std::vector<Objectives> front;
    std::transform(begin, end, std::back_inserter(front), [&](std::size_t i) { return values[i]; });
    const std::vector<double> distances = crowding_distances(front);
    for (std::size_t i = 0; i < front.size(); ++i) {
      loneliness[*(begin + static_cast<std::ptrdiff_t>(i))] = distances[i];
    }
    std::stable_sort(begin, end, [&](std::size_t a, std::size_t b) { return loneliness[a] > loneliness[b]; });
    begin = end;
  }
  return order;
}

double hypervolume(std::span<const Objectives> points, const Objectives& reference) {
  std::vector<Objectives> inside;
  for (const Objectives& point : points) {
    CHECK(point.size() == reference.size());
    if (std::equal(point.begin(), point.end(), reference.begin(), std::less<>())) {
      inside.push_back(point);
    }
  }
  std::vector<Objectives> front = first_front(inside);
  // With two objectives this order leaves one covered corner a point: O(n²).
  std::sort(front.begin(), front.end());
  return volume_of_front(front, reference);
}

std::vector<int> pareto_front(std::span<const Trial> trials) {
  std::vector<int> numbers;
  std::vector<Objectives> values;
  for (const TrialState wanted : {TrialState::complete, TrialState::stopped}) {
    for (const Trial& trial : trials) {
      if (trial.state == wanted && !trial.values.empty()) {
        numbers.push_back(trial.number);
        values.push_back(trial.values);
      }
    }
    if (!numbers.empty()) {
      break;
    }
  }
  const std::vector<std::size_t> fronts = nondominated_fronts(values);
  std::vector<std::pair<double, int>> front;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (fronts[i] == 0) {
      front.emplace_back(values[i].front(), numbers[i]);
    }
  }
  std::sort(front.begin(), front.end());
  std::vector<int> sorted;
  for (const auto& [value, number] : front) {
    sorted.push_back(number);
  }
  return sorted;
}

}  // namespace regatta

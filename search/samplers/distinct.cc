// Three stages, from cheap to thorough: a few draws, a list of the points left, many draws.
#include "search/samplers/distinct.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace regatta {

std::optional<Point> DistinctPoints::choose(std::span<const Trial> history,
                                            const std::function<Point(std::uint64_t attempt)>& draw,
                                            const Random& random) {
  if (!cardinality_) {
    return draw(0);
  }
  const auto proposed = [&](const Point& point) {
    return std::any_of(history.begin(), history.end(),
                       [&](const Trial& trial) { return trial.point == point; });
  };
  for (std::uint64_t attempt = 0; attempt < kCheapDraws; ++attempt) {
    if (Point point = draw(attempt); !proposed(point)) {
      return point;
    }
  }

  std::set<Point> seen;
  for (const Trial& trial : history) {
    seen.insert(trial.point);
  }
  if (*cardinality_ <= kMaxListed) {
    if (all_.empty()) {
      auto points = grid_points(*space_, kMaxListed);
      CHECK(points.ok(), points.error().message);
      all_ = std::move(points).value();
    }
    std::vector<const Point*> left;
    for (const Point& point : all_) {
      if (!seen.contains(point)) {
        left.push_back(&point);
      }
    }
    return left.empty() ? std::nullopt : std::optional(*left[random.below(0, left.size())]);
  }

  if (seen.size() >= *cardinality_) {
    return std::nullopt;
  }
  Point point;
  for (std::uint64_t attempt = kCheapDraws; attempt < kMaxDraws; ++attempt) {
    point = draw(attempt);
    if (!seen.contains(point)) {
      break;
    }
  }
  return point;
}

}  // namespace regatta

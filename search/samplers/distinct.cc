// From cheap to thorough: a few draws, a list of the points left, many draws, a step beside an allowed point.
#include "search/samplers/distinct.h"

#include <algorithm>

namespace regatta {

std::optional<Point> DistinctPoints::choose(std::span<const Trial> history,
                                            const std::function<Point(std::uint64_t attempt)>& draw,
                                            const Random& random) {
  const auto proposed = [&](const Point& point) {
    return is_finite_ && std::any_of(history.begin(), history.end(),
                                     [&](const Trial& trial) { return trial.point == point; });
  };
  for (std::uint64_t attempt = 0; attempt < kCheapDraws; ++attempt) {
    if (Point point = draw(attempt); space_->allows(point) && !proposed(point)) {
      return point;
    }
  }

  if (is_finite_) {
    seen_.follow(history);
    if (list()) {
      return choose_listed(random);
    }
    if (cardinality_ && seen_.size() >= *cardinality_) {
      return std::nullopt;
    }
  }
  std::optional<Point> repeated;
  const std::uint64_t limit = space_->requirements().empty() ? kMaxDraws : kMaxRequiredDraws;
  for (std::uint64_t attempt = kCheapDraws; attempt < limit; ++attempt) {
    Point point = draw(attempt);
    if (!space_->allows(point)) {
      continue;
    }
    if (!is_finite_ || !seen_.contains(point)) {
      return point;
    }
    repeated = std::move(point);
  }
  auto beside = space_->requirements().empty() ? std::nullopt : beside_allowed(random);
  return repeated && (!beside || seen_.contains(*beside)) ? repeated : beside;
}

bool DistinctPoints::list() {
  if (!was_listed_ && cardinality_ && *cardinality_ <= kMaxListed) {
    was_listed_ = true;
    if (auto points = grid_points(*space_, kMaxListed); points.ok()) {
      all_ = std::move(points).value();
    }
  }
  return !all_.empty();
}

std::optional<Point> DistinctPoints::choose_listed(const Random& random) const {
  std::vector<const Point*> left;
  for (const Point& point : all_) {
    if (!seen_.contains(point)) {
      left.push_back(&point);
    }
  }
  return left.empty() ? std::nullopt : std::optional(*left[random.below(0, left.size())]);
}

std::optional<Point> DistinctPoints::beside_allowed(const Random& random) {
  if (allowed_.empty()) {
    allowed_ = allowed_draws(*space_);
  }
  if (allowed_.empty()) {
    return std::nullopt;
  }
  const Point& start = allowed_[random.below(0, allowed_.size())];
  const std::vector<double> from = space_->to_unit(start);
  constexpr int kHalvings = 30;
  double step = 1;
  for (int i = 0; i < kHalvings; ++i, step /= 2) {
    std::vector<double> unit = from;
    for (std::size_t k = 0; k < unit.size(); ++k) {
      unit[k] += step * (random.uniform(1 + k) - from[k]);
    }
    if (Point point = space_->from_unit(unit); space_->allows(point)) {
      return point;
    }
  }
  return start;
}

}  // namespace regatta

// Counting and listing the points of a space with its conditions: cardinality, grids, and the few points that
// validation tries.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "experiment/experiment.h"
#include "experiment/space.h"

namespace regatta {
namespace {

constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 53;
constexpr std::uint64_t kMaxCombinations = 1'000'000;
constexpr std::size_t kMaxProbedPoints = 10'000;
constexpr std::uint64_t kMaxProbedValues = 64;
constexpr int kProbesOfRange = 17;

// Conditions split the space only along the parameters that they mention, so only those are enumerated; the
// others multiply what each combination leaves active.
class Counter {
 public:
  explicit Counter(const Space& space) : space_(space), point_(space.size()), mentioned_(space.size()) {
    for (const Parameter& parameter : space.parameters()) {
      for (const std::string& name : parameter.when ? parameter.when->names() : std::vector<std::string>{}) {
        mentioned_[*space.index_of(name)] = true;
      }
    }
  }

  // Points over the parameters from `index` on, given those before; nullopt when there are too many.
  std::optional<std::uint64_t> count_from(std::size_t index) {
    if (index == space_.size()) {
      return 1;
    }
    const Parameter& parameter = space_.parameters()[index];
    point_[index] = std::nullopt;
    if (!space_.active(point_, index)) {
      return count_from(index + 1);
    }
    const std::uint64_t values = *parameter.cardinality();
    if (!mentioned_[index]) {
      const auto rest = count_from(index + 1);
      return rest && *rest <= kMaxCount / values ? std::optional(*rest * values) : std::nullopt;
    }
    std::uint64_t total = 0;
    for (std::uint64_t k = 0; k < values; ++k) {
      point_[index] = parameter.nth(k);
      const auto rest = ++combinations_ <= kMaxCombinations ? count_from(index + 1) : std::nullopt;
      if (!rest || *rest > kMaxCount - total) {
        return std::nullopt;
      }
      total += *rest;
    }
    return total;
  }

 private:
  const Space& space_;
  Point point_;
  std::vector<bool> mentioned_;
  std::uint64_t combinations_ = 0;
};

// False when the limit is passed.
bool list_from(const Space& space, std::size_t index, Point& point, std::uint64_t limit,
               std::vector<Point>& points) {
  if (index == space.size()) {
    if (points.size() >= limit) {
      return false;
    }
    points.push_back(point);
    return true;
  }
  point[index] = std::nullopt;
  if (!space.active(point, index)) {
    return list_from(space, index + 1, point, limit, points);
  }
  const Parameter& parameter = space.parameters()[index];
  for (std::uint64_t k = 0; k < *parameter.cardinality(); ++k) {
    point[index] = parameter.nth(k);
    if (!list_from(space, index + 1, point, limit, points)) {
      return false;
    }
  }
  return true;
}

// Every choice, or both ends.
std::vector<double> extremes_of(const Parameter& parameter) {
  const auto count = parameter.cardinality();
  if (!count) {
    const auto& range = std::get<FloatDomain>(parameter.domain);
    return {range.low, range.high};
  }
  std::vector<double> values;
  const bool is_choice = std::holds_alternative<ChoiceDomain>(parameter.domain);
  for (std::uint64_t k = 0; k < *count; k += is_choice || *count == 1 ? 1 : *count - 1) {
    values.push_back(parameter.nth(k));
  }
  return values;
}

// Values among which a condition on the parameter is likely to find one that makes it hold.
std::vector<double> probes_of(const Space& space, std::size_t index) {
  const Parameter& parameter = space.parameters()[index];
  const auto count = parameter.cardinality();
  std::set<double> values;
  for (std::uint64_t k = 0; count && *count <= kMaxProbedValues && k < *count; ++k) {
    values.insert(parameter.nth(k));
  }
  for (const double extreme : extremes_of(parameter)) {
    values.insert(extreme);
  }
  if (!count || *count > kMaxProbedValues) {
    const Space alone({Parameter{.name = parameter.name, .domain = parameter.domain}});
    for (int i = 0; i < kProbesOfRange; ++i) {
      const double unit[] = {(i + 0.5) / kProbesOfRange};
      values.insert(*alone.from_unit(unit)[0]);
    }
    for (const Parameter& other : space.parameters()) {
      for (const auto& equality :
           other.when ? other.when->equalities() : std::vector<Expression::Equality>{}) {
        const auto number = as_number(equality.value);
        if (equality.name == parameter.name && number && alone.contains({*number})) {
          values.insert(*number);
        }
      }
    }
  }
  return {values.begin(), values.end()};
}

// The parameters that decide whether `index` is active, directly or through each other.
std::vector<std::size_t> deciders_of(const Space& space, std::size_t index) {
  std::set<std::size_t> found;
  std::vector<std::size_t> open = {index};
  while (!open.empty()) {
    const auto& when = space.parameters()[open.back()].when;
    open.pop_back();
    for (const std::string& name : when ? when->names() : std::vector<std::string>{}) {
      if (const std::size_t decider = *space.index_of(name); found.insert(decider).second) {
        open.push_back(decider);
      }
    }
  }
  return {found.begin(), found.end()};
}

// A point in which parameter `index` is active with `value`, found by trying the combinations of its
// deciders; `start` gives the other parameters. nullopt when none of the combinations tried activates it.
std::optional<Point> activate(const Space& space, const Point& start, std::size_t index, double value) {
  const std::vector<std::size_t> deciders = deciders_of(space, index);
  std::vector<std::vector<double>> probes;
  for (const std::size_t decider : deciders) {
    probes.push_back(probes_of(space, decider));
  }
  std::vector<std::size_t> digits(deciders.size());
  for (std::size_t tried = 0; tried < kMaxProbedPoints; ++tried) {
    Point point = start;
    point[index] = value;
    for (std::size_t d = 0; d < deciders.size(); ++d) {
      point[deciders[d]] = probes[d][digits[d]];
    }
    point = space.drop_inactive(std::move(point));
    if (point[index]) {
      return point;
    }
    std::size_t d = 0;
    while (d < digits.size() && ++digits[d] == probes[d].size()) {
      digits[d++] = 0;
    }
    if (d == digits.size()) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> Space::cardinality() const {
  for (const Parameter& parameter : parameters_) {
    if (!parameter.cardinality()) {
      return std::nullopt;
    }
  }
  return Counter(*this).count_from(0);
}

Result<std::vector<Point>> grid_points(const Space& space, std::uint64_t limit) {
  for (const Parameter& parameter : space.parameters()) {
    if (parameter.cardinality()) {
      continue;
    }
    const bool is_log = std::get<FloatDomain>(parameter.domain).log;
    return mistake_at(parameter.place,
                      fmt::format("a grid needs a finite number of values for '{}'; give it {}",
                                  parameter.name, is_log ? "its values as {choice: […]}" : "a step"));
  }
  std::vector<Point> points;
  Point point(space.size());
  if (!list_from(space, 0, point, limit, points)) {
    const auto count = space.cardinality();
    const std::string size = count ? format_count(static_cast<std::int64_t>(*count)) : "too many";
    const std::string message =
        fmt::format("the grid has {} points, and at most {} are allowed; use larger steps or another sampler",
                    size, format_count(static_cast<std::int64_t>(limit)));
    return mistake_at(space.parameters().empty() ? Place{.file = "space"} : space.parameters()[0].place,
                      message);
  }
  return points;
}

std::vector<Point> representative_points(const Space& space) {
  std::vector<std::vector<double>> extremes;
  std::size_t rounds = 1;
  for (const Parameter& parameter : space.parameters()) {
    extremes.push_back(extremes_of(parameter));
    rounds = std::max(rounds, extremes.back().size());
  }
  // Round k takes the k-th extreme of every parameter; that covers all but what conditions hide.
  std::vector<Point> points;
  for (std::size_t round = 0; round < rounds; ++round) {
    Point point;
    for (const auto& values : extremes) {
      point.emplace_back(values[round % values.size()]);
    }
    points.push_back(space.drop_inactive(std::move(point)));
  }
  Point start;
  for (const auto& values : extremes) {
    start.emplace_back(values[0]);
  }
  for (std::size_t i = 0; i < space.size(); ++i) {
    for (const double value : extremes[i]) {
      const bool is_covered = std::any_of(
          points.begin(), points.end(), [&](const Point& point) { return point[i] == std::optional(value); });
      if (is_covered) {
        continue;
      }
      if (auto point = activate(space, start, i, value)) {
        points.push_back(*std::move(point));
      }
    }
  }
  return points;
}

}  // namespace regatta

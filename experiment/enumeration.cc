// Counting and listing the points of a space with its conditions: cardinality, grids, and the few points that
// validation tries.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/random.h"
#include "base/text.h"
#include "experiment/experiment.h"
#include "experiment/space.h"

namespace regatta {
namespace {

constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 53;
constexpr std::uint64_t kMaxCombinations = 1'000'000;
constexpr std::uint64_t kMaxTriedValues = 20'000'000;  // while listing: a few seconds
constexpr std::size_t kMaxProbedPoints = 10'000;
constexpr std::uint64_t kMaxProbedValues = 64;
constexpr int kProbesOfRange = 17;

// Each requirement stands with the last parameter that it uses: there it can be told whether it holds.
std::vector<std::vector<const Expression*>> requirements_by_last_parameter(const Space& space) {
  std::vector<std::vector<const Expression*>> by_parameter(space.size());
  for (const Expression& requirement : space.requirements()) {
    std::size_t last = 0;
    for (const std::string& name : requirement.names()) {
      last = std::max(last, *space.index_of(name));
    }
    by_parameter[last].push_back(&requirement);
  }
  return by_parameter;
}

bool satisfies_all(const Space& space, const Point& point, const std::vector<const Expression*>& all) {
  return std::all_of(all.begin(), all.end(),
                     [&](const Expression* requirement) { return space.satisfies(point, *requirement); });
}

// Conditions and requirements split the space only along the parameters that they mention, so only those are
// enumerated; the others multiply what each combination leaves active.
class Counter {
 public:
  explicit Counter(const Space& space)
      : space_(space),
        point_(space.size()),
        mentioned_(space.size()),
        requirements_(requirements_by_last_parameter(space)) {
    for (const Parameter& parameter : space.parameters()) {
      for (const std::string& name : parameter.when ? parameter.when->names() : std::vector<std::string>{}) {
        mentioned_[*space.index_of(name)] = true;
      }
    }
    for (const Expression& requirement : space.requirements()) {
      for (const std::string& name : requirement.names()) {
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
      if (++combinations_ > kMaxCombinations) {
        return std::nullopt;
      }
      if (!satisfies_all(space_, point_, requirements_[index])) {
        continue;
      }
      const auto rest = count_from(index + 1);
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
  std::vector<std::vector<const Expression*>> requirements_;
  std::uint64_t combinations_ = 0;
};

// Every allowed point, in the order of the space.
class Lister {
 public:
  Lister(const Space& space, std::uint64_t limit)
      : space_(space),
        limit_(limit),
        point_(space.size()),
        requirements_(requirements_by_last_parameter(space)) {}

  // False when the limit is passed, or when too many values were tried.
  bool list_from(std::size_t index) {
    if (index == space_.size()) {
      points_.push_back(point_);
      return points_.size() <= limit_;
    }
    point_[index] = std::nullopt;
    if (!space_.active(point_, index)) {
      return list_from(index + 1);
    }
    const Parameter& parameter = space_.parameters()[index];
    for (std::uint64_t k = 0; k < *parameter.cardinality(); ++k) {
      point_[index] = parameter.nth(k);
      if (++tried_ > kMaxTriedValues) {
        return false;
      }
      if (satisfies_all(space_, point_, requirements_[index]) && !list_from(index + 1)) {
        return false;
      }
    }
    return true;
  }
  std::vector<Point>& points() { return points_; }

 private:
  const Space& space_;
  std::uint64_t limit_;
  Point point_;
  std::vector<std::vector<const Expression*>> requirements_;
  std::uint64_t tried_ = 0;
  std::vector<Point> points_;
};

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

// The allowed ones among `points`, and allowed draws for the choices that are lost with the others. The ends
// of ranges that a requirement cuts off are not made up for.
std::vector<Point> only_allowed(const Space& space, std::vector<Point> points) {
  std::erase_if(points, [&](const Point& point) { return !space.allows(point); });
  for (const Point& draw : allowed_draws(space)) {
    bool adds_choice = points.empty();
    for (std::size_t i = 0; i < space.size(); ++i) {
      const bool is_choice = std::holds_alternative<ChoiceDomain>(space.parameters()[i].domain);
      adds_choice = adds_choice ||
                    (is_choice && draw[i] && std::none_of(points.begin(), points.end(), [&](const Point& p) {
                       return p[i] == draw[i];
                     }));
    }
    if (adds_choice) {
      points.push_back(draw);
    }
  }
  if (points.empty()) {  // so few are allowed that only a list finds them
    if (auto all = grid_points(space, kMaxCombinations); all.ok()) {
      points = std::move(all).value();
    }
  }
  return points;
}

}  // namespace

std::optional<std::uint64_t> Space::cardinality() const {
  return is_finite() ? Counter(*this).count_from(0) : std::nullopt;
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
  Lister lister(space, limit);
  if (!lister.list_from(0)) {
    const auto count = space.cardinality();
    const std::string size =
        count && *count > limit ? format_count(static_cast<std::int64_t>(*count)) : "too many";
    const std::string message =
        fmt::format("the grid has {} points, and at most {} are allowed; use larger steps or another sampler",
                    size, format_count(static_cast<std::int64_t>(limit)));
    return mistake_at(space.parameters().empty() ? Place{.file = "space"} : space.parameters()[0].place,
                      message);
  }
  return std::move(lister.points());
}

std::vector<Point> allowed_draws(const Space& space, std::size_t limit) {
  const Random random(0, "allowed points");
  std::vector<Point> points;
  std::vector<double> unit(space.size());
  for (std::size_t draw = 0; draw < kAllowanceDraws && points.size() < limit; ++draw) {
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = random.uniform(draw * unit.size() + i);
    }
    if (Point point = space.from_unit(unit); space.allows(point)) {
      points.push_back(std::move(point));
    }
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
  return space.requirements().empty() ? points : only_allowed(space, std::move(points));
}

}  // namespace regatta

// Each map is completed by draws of all parameters, over which the given values are laid.
#include "search/known_points.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "base/text.h"
#include "experiment/value.h"

namespace regatta {
namespace {

constexpr int kMaxDraws = 10'000;  // to complete one point

struct GivenValues {
  const Node* node = nullptr;
  Point values;  // nullopt: not given
};

Result<double> read_value(const Node::Entry& entry, const Parameter& parameter) {
  if (!entry.value.is_scalar() && !entry.value.is_null()) {
    return mistake_at(entry.value.place(), fmt::format("expected a value of the parameter '{}', not {}",
                                                       entry.key, entry.value.describe()));
  }
  const Value value =
      entry.value.is_null() ? Value(nullptr) : value_of_scalar(entry.value.text(), entry.value.quoted());
  if (const auto number = parameter.encode(value)) {
    return *number;
  }
  std::string hint;
  const char* article = std::holds_alternative<IntDomain>(parameter.domain) ? "an " : "a ";
  if (const auto* choice = std::get_if<ChoiceDomain>(&parameter.domain)) {
    std::vector<std::string> choices;
    for (const Value& known : choice->choices) {
      choices.push_back(to_string(known));
    }
    article = "";
    hint = did_you_mean(to_string(value), choices);
  }
  return mistake_at(entry.value.place(), fmt::format("'{}' is {}{}, never {}{}", entry.key, article,
                                                     describe(parameter.domain), to_string(value), hint));
}

Result<GivenValues> read_given(const Node& node, const Space& space) {
  if (!node.is_map() || node.entries().empty()) {
    return mistake_at(node.place(), fmt::format("expected a point to try, such as {{lr: 0.01}}, not {}",
                                                node.is_map() ? "an empty map" : node.describe()));
  }
  std::vector<std::string> names;
  for (const Parameter& parameter : space.parameters()) {
    names.push_back(parameter.name);
  }
  GivenValues given{.node = &node, .values = Point(space.size())};
  for (const Node::Entry& entry : node.entries()) {
    const auto index = space.index_of(entry.key);
    if (!index) {
      return mistake_at(entry.key_place, fmt::format("'{}' is no parameter of the space{}", entry.key,
                                                     did_you_mean(entry.key, names)));
    }
    ASSIGN_OR_RETURN(given.values[*index], read_value(entry, space.parameters()[*index]));
  }
  return given;
}

// Why a completion will not do, from the worst to the least bad.
struct Refusal {
  std::optional<std::size_t> inactive;      // a given parameter that does not exist there
  const Expression* requirement = nullptr;  // one that does not hold
};

Refusal judge(const Space& space, const Point& given, const Point& point) {
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (given[i] && !point[i]) {
      return {.inactive = i};
    }
  }
  for (const Expression& requirement : space.requirements()) {
    if (!space.satisfies(point, requirement)) {
      return {.requirement = &requirement};
    }
  }
  return {};
}

Error refusal_mistake(const Space& space, const GivenValues& given, const Refusal& refusal) {
  if (refusal.inactive) {
    const Parameter& parameter = space.parameters()[*refusal.inactive];
    const auto& entries = given.node->entries();
    const auto entry = std::find_if(entries.begin(), entries.end(),
                                    [&](const Node::Entry& other) { return other.key == parameter.name; });
    return mistake_at(entry->key_place, fmt::format("'{}' does not exist at this point: it needs '{}'",
                                                    parameter.name, parameter.when->text()));
  }
  if (refusal.requirement != nullptr) {
    return mistake_at(given.node->place(),
                      fmt::format("this point breaks the requirement '{}'", refusal.requirement->text()));
  }
  return mistake_at(given.node->place(), "this point stands twice");
}

// The given values, the rest from the first draw that suits them. `everything` is the space without its
// conditions.
Result<Point> complete(const Space& space, const Space& everything, const GivenValues& given,
                       const std::vector<Point>& earlier, const Random& random) {
  Refusal refusal;
  std::vector<double> unit(space.size());
  for (std::uint64_t draw = 0; draw < kMaxDraws; ++draw) {
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = random.uniform(draw * unit.size() + i);
    }
    Point point = everything.from_unit(unit);
    for (std::size_t i = 0; i < point.size(); ++i) {
      point[i] = given.values[i] ? given.values[i] : point[i];
    }
    point = space.drop_inactive(std::move(point));
    const Refusal found = judge(space, given.values, point);
    const bool is_refused = found.inactive || found.requirement != nullptr;
    if (!is_refused && std::find(earlier.begin(), earlier.end(), point) == earlier.end()) {
      return point;
    }
    // The mistake that is told is the one of the draw that came furthest.
    if (draw == 0 || !found.inactive) {
      refusal = found;
    }
    if (!is_refused && point == given.values) {
      break;  // nothing is drawn
    }
  }
  return refusal_mistake(space, given, refusal);
}

}  // namespace

Result<std::vector<Point>> read_known_points(const Node& node, const Space& space, std::uint64_t seed) {
  if (!node.is_sequence()) {
    return mistake_at(node.place(), fmt::format("expected a list of points to try, such as [{{lr: 0.01}}], "
                                                "not {}",
                                                node.describe()));
  }
  const Space everything = space.unconditional();
  const Random random(seed, "known points");
  std::vector<Point> points;
  for (const Node& item : node.items()) {
    ASSIGN_OR_RETURN(const GivenValues given, read_given(item, space));
    ASSIGN_OR_RETURN(Point point,
                     complete(space, everything, given, points, random.substream(points.size())));
    points.push_back(std::move(point));
  }
  return points;
}

}  // namespace regatta

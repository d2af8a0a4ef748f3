// The parameter space: what the search may choose, and the maps between a user's values, internal numbers and
// the unit cube in which samplers work.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "experiment/expression.h"
#include "experiment/node.h"
#include "experiment/value.h"

namespace regatta {

struct FloatDomain {
  double low = 0;
  double high = 1;  // inclusive
  bool log = false;
  std::optional<double> step;  // values are low + k·step; excludes log
};
struct IntDomain {
  std::int64_t low = 0;
  std::int64_t high = 1;  // inclusive
  bool log = false;
  std::int64_t step = 1;  // values are low + k·step; with log it is 1
};
struct ChoiceDomain {
  std::vector<Value> choices;  // at least one, distinct
};
using Domain = std::variant<FloatDomain, IntDomain, ChoiceDomain>;

// "number from 0.001 to 0.1, logarithmic", "one of sgd, adam".
std::string describe(const Domain& domain);

struct Parameter {
  std::string name;
  Domain domain;
  std::optional<Expression>
      when;  // inactive where it does not hold; uses only parameters declared before this one
  Place place;

  // How many values there are; nullopt for a continuous range.
  std::optional<std::uint64_t> cardinality() const;
  // The k-th value in ascending order, k below the cardinality, in the encoding of Point.
  double nth(std::uint64_t k) const;
  // A user's value in the encoding of Point; nullopt when it is not in the domain. 64.0 is the integer 64.
  std::optional<double> encode(const Value& value) const;
};

// A point of the space: per parameter, in the space's order, the number itself, or for a choice its 0-based
// index (the same encoding as Optuna's param_value); nullopt where the parameter is inactive.
using Point = std::vector<std::optional<double>>;

class Space {
 public:
  Space() = default;
  // `requirements` may use every parameter; each applies where all that it uses are active.
  explicit Space(std::vector<Parameter> parameters, std::vector<Expression> requirements = {})
      : parameters_(std::move(parameters)), requirements_(std::move(requirements)) {}

  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Expression>& requirements() const { return requirements_; }
  std::size_t size() const { return parameters_.size(); }
  std::optional<std::size_t> index_of(std::string_view name) const;

  // From the unit cube, one coordinate in [0, 1) a parameter. Log parameters are uniform in their logarithm;
  // integers and steps get equal shares; inactive parameters become nullopt.
  Point from_unit(std::span<const double> unit) const;
  // Back again, to the middle of an integer's or choice's share; inactive parameters give 0.5.
  std::vector<double> to_unit(const Point& point) const;

  // The user's value of parameter `index`; nullopt when inactive.
  std::optional<Value> value(const Point& point, std::size_t index) const;
  // {lr: 0.01, optimizer: sgd} for people: numbers are rounded, inactive parameters are left out.
  std::string describe(const Point& point) const;

  // Sets inactive parameters to nullopt, given values for all; the coordinates that stay are unchanged.
  Point drop_inactive(Point point) const;
  // Whether every active parameter has a value of its domain and every inactive one has none.
  bool contains(const Point& point) const;
  // Whether the requirements that apply hold, of a point that the space contains.
  bool allows(const Point& point) const;
  // The same of one requirement; only the parameters that it uses need to be set.
  bool satisfies(const Point& point, const Expression& requirement) const;

  // Whether parameter `index` is active, given the parameters before it.
  bool active(const Point& point, std::size_t index) const;

  // The same parameters, each of them always active, without the requirements.
  Space unconditional() const;

  // Whether no parameter is continuous.
  bool is_finite() const;
  // Distinct points, conditions and requirements respected; nullopt when a parameter is continuous, the count
  // exceeds 2^53, or the parameters that conditions and requirements mention have more than a million
  // combinations.
  std::optional<std::uint64_t> cardinality() const;

 private:
  std::vector<Parameter> parameters_;
  std::vector<Expression> requirements_;
};

// Every distinct point that the requirements allow, the last parameter moving fastest. A mistake that names
// the parameter when one is continuous, and a mistake when there are more than `limit` points, or too many to
// look through for those that are allowed.
Result<std::vector<Point>> grid_points(const Space& space, std::uint64_t limit);

// The points among kAllowanceDraws uniform ones, the same for equal spaces, that the requirements allow:
// their number estimates the share of the space that is left. At most `limit` of them are looked for.
inline constexpr std::size_t kAllowanceDraws = 10'000;
std::vector<Point> allowed_draws(const Space& space, std::size_t limit = kAllowanceDraws);

// Reads the `space:` section; null is the empty space, which has one point. Requirements that leave nothing
// of the space, as far as can be seen, are a mistake.
Result<Space> read_space(const Node& node);

}  // namespace regatta

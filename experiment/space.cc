// Maps between a user's values, internal numbers and the unit cube.
#include "experiment/space.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/text.h"

namespace regatta {
namespace {

// The largest double below 1: coordinates are in [0, 1).
constexpr double kBelowOne = 1.0 - std::numeric_limits<double>::epsilon() / 2;
// How far a value may lie beside its grid, in steps.
constexpr double kStepTolerance = 1e-9;

double clamp_unit(double unit) { return std::isnan(unit) ? 0.5 : std::clamp(unit, 0.0, kBelowOne); }

double fraction(double value, double low, double high) {
  // Halves, so that the width of [-1e308, 1e308] stays finite.
  return (value / 2 - low / 2) / (high / 2 - low / 2);
}

std::uint64_t share_of(double unit, std::uint64_t count) {
  const auto share = static_cast<std::uint64_t>(clamp_unit(unit) * static_cast<double>(count));
  return std::min(share, count - 1);
}

double middle_of_share(std::uint64_t share, std::uint64_t count) {
  return clamp_unit((static_cast<double>(share) + 0.5) / static_cast<double>(count));
}

std::uint64_t step_count(const FloatDomain& domain) {
  const double steps = (domain.high - domain.low) / *domain.step;
  return static_cast<std::uint64_t>(std::floor(steps + kStepTolerance)) + 1;
}

std::uint64_t step_count(const IntDomain& domain) {
  return static_cast<std::uint64_t>((domain.high - domain.low) / domain.step) + 1;
}

// low + k·step as a user would write it: 0.3 instead of 0.30000000000000004.
double stepped(const FloatDomain& domain, std::uint64_t k) {
  const double distance = static_cast<double>(k) * *domain.step;
  const double value = std::clamp(domain.low + distance, domain.low, domain.high);
  const double rounding =
      4 * std::numeric_limits<double>::epsilon() * std::max(std::abs(domain.low), std::abs(distance));
  double neat = value;
  const std::string digits = fmt::format("{:.12g}", value);
  std::from_chars(digits.data(), digits.data() + digits.size(), neat);
  if (std::abs(value) <= rounding) {
    neat = 0;
  }
  return std::abs(neat - value) <= rounding && neat >= domain.low && neat <= domain.high ? neat : value;
}

// A log integer's share reaches half a step to either side, so that the first and last get a fair one.
double log_low(const IntDomain& domain) { return std::log(static_cast<double>(domain.low) - 0.5); }
double log_high(const IntDomain& domain) { return std::log(static_cast<double>(domain.high) + 0.5); }

double from_unit_of(const Parameter& parameter, double unit) {
  unit = clamp_unit(unit);
  if (const auto* range = std::get_if<FloatDomain>(&parameter.domain); range != nullptr && !range->step) {
    const double value = range->log ? std::exp(std::lerp(std::log(range->low), std::log(range->high), unit))
                                    : std::lerp(range->low, range->high, unit);
    return std::clamp(value, range->low, range->high);
  }
  if (const auto* range = std::get_if<IntDomain>(&parameter.domain); range != nullptr && range->log) {
    const double value = std::round(std::exp(std::lerp(log_low(*range), log_high(*range), unit)));
    return std::clamp(value, static_cast<double>(range->low), static_cast<double>(range->high));
  }
  return parameter.nth(share_of(unit, *parameter.cardinality()));
}

double to_unit_of(const Parameter& parameter, double value) {
  if (const auto* range = std::get_if<FloatDomain>(&parameter.domain)) {
    if (range->step) {
      const double share = std::max(0.0, std::round((value - range->low) / *range->step));
      const std::uint64_t count = step_count(*range);
      return middle_of_share(std::min(static_cast<std::uint64_t>(share), count - 1), count);
    }
    return clamp_unit(range->log ? fraction(std::log(value), std::log(range->low), std::log(range->high))
                                 : fraction(value, range->low, range->high));
  }
  if (const auto* range = std::get_if<IntDomain>(&parameter.domain)) {
    if (range->log) {
      const double middle = (std::log(value - 0.5) + std::log(value + 0.5)) / 2;
      return clamp_unit(fraction(middle, log_low(*range), log_high(*range)));
    }
    const std::int64_t share = (static_cast<std::int64_t>(value) - range->low) / range->step;
    return middle_of_share(static_cast<std::uint64_t>(share), step_count(*range));
  }
  return middle_of_share(static_cast<std::uint64_t>(value), *parameter.cardinality());
}

bool has_value(const Parameter& parameter, double value) {
  if (!std::isfinite(value)) {
    return false;
  }
  if (const auto* range = std::get_if<FloatDomain>(&parameter.domain)) {
    if (value < range->low || value > range->high) {
      return false;
    }
    const double steps = range->step ? (value - range->low) / *range->step : 0;
    return std::abs(steps - std::round(steps)) <= kStepTolerance * std::max(1.0, std::abs(steps));
  }
  if (value != std::trunc(value)) {
    return false;
  }
  if (const auto* range = std::get_if<IntDomain>(&parameter.domain)) {
    return value >= static_cast<double>(range->low) && value <= static_cast<double>(range->high) &&
           (static_cast<std::int64_t>(value) - range->low) % range->step == 0;
  }
  return value >= 0 && value < static_cast<double>(*parameter.cardinality());
}

double neatened(const Parameter& parameter, double value) {
  const auto* range = std::get_if<FloatDomain>(&parameter.domain);
  if (range == nullptr || !range->step) {
    return value;
  }
  return stepped(*range, static_cast<std::uint64_t>(std::round((value - range->low) / *range->step)));
}

// Four significant digits are enough to recognise a value by.
std::string short_text(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) {
    double rounded = *number;
    const std::string digits = fmt::format("{:.4g}", *number);
    std::from_chars(digits.data(), digits.data() + digits.size(), rounded);
    return to_string(Value(rounded));
  }
  return to_string(value);
}

}  // namespace

std::optional<std::uint64_t> Parameter::cardinality() const {
  if (const auto* range = std::get_if<FloatDomain>(&domain)) {
    return range->step ? std::optional(step_count(*range)) : std::nullopt;
  }
  if (const auto* range = std::get_if<IntDomain>(&domain)) {
    return step_count(*range);
  }
  return std::get<ChoiceDomain>(domain).choices.size();
}

double Parameter::nth(std::uint64_t k) const {
  const auto count = cardinality();
  CHECK(count && k < *count, "nth() is for the values of a discrete parameter");
  if (const auto* range = std::get_if<FloatDomain>(&domain)) {
    return stepped(*range, k);
  }
  if (const auto* range = std::get_if<IntDomain>(&domain)) {
    return static_cast<double>(range->low + static_cast<std::int64_t>(k) * range->step);
  }
  return static_cast<double>(k);
}

std::optional<double> Parameter::encode(const Value& value) const {
  if (const auto* choice = std::get_if<ChoiceDomain>(&domain)) {
    const auto found = std::find_if(choice->choices.begin(), choice->choices.end(),
                                    [&](const Value& known) { return same_value(known, value); });
    return found != choice->choices.end() ? std::optional<double>(found - choice->choices.begin())
                                          : std::nullopt;
  }
  const auto number = as_number(value);
  return number && has_value(*this, *number) ? std::optional(neatened(*this, *number)) : std::nullopt;
}

std::string describe(const Domain& domain) {
  if (const auto* range = std::get_if<FloatDomain>(&domain)) {
    const std::string step = range->step ? ", step " + format_number(*range->step) : "";
    return fmt::format("number from {} to {}{}{}", format_number(range->low), format_number(range->high),
                       range->log ? ", logarithmic" : "", step);
  }
  if (const auto* range = std::get_if<IntDomain>(&domain)) {
    const std::string step = range->step != 1 ? fmt::format(", step {}", range->step) : "";
    return fmt::format("integer from {} to {}{}{}", range->low, range->high,
                       range->log ? ", logarithmic" : "", step);
  }
  std::vector<std::string> choices;
  for (const Value& choice : std::get<ChoiceDomain>(domain).choices) {
    choices.push_back(to_string(choice));
  }
  return fmt::format("one of {}", fmt::join(choices, ", "));
}

std::optional<std::size_t> Space::index_of(std::string_view name) const {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const Parameter& parameter) { return parameter.name == name; });
  return found == parameters_.end() ? std::nullopt
                                    : std::optional(static_cast<std::size_t>(found - parameters_.begin()));
}

Point Space::from_unit(std::span<const double> unit) const {
  CHECK(unit.size() == size());
  Point point(size());
  for (std::size_t i = 0; i < size(); ++i) {
    if (active(point, i)) {
      point[i] = from_unit_of(parameters_[i], unit[i]);
    }
  }
  return point;
}

std::vector<double> Space::to_unit(const Point& point) const {
  CHECK(point.size() == size());
  std::vector<double> unit(size(), 0.5);
  for (std::size_t i = 0; i < size(); ++i) {
    if (point[i]) {
      unit[i] = to_unit_of(parameters_[i], *point[i]);
    }
  }
  return unit;
}

std::optional<Value> Space::value(const Point& point, std::size_t index) const {
  CHECK(point.size() == size() && index < size());
  if (!point[index]) {
    return std::nullopt;
  }
  const Domain& domain = parameters_[index].domain;
  if (const auto* choice = std::get_if<ChoiceDomain>(&domain)) {
    const auto chosen = static_cast<std::size_t>(*point[index]);
    CHECK(chosen < choice->choices.size());
    return choice->choices[chosen];
  }
  if (std::holds_alternative<IntDomain>(domain)) {
    return static_cast<std::int64_t>(*point[index]);
  }
  return *point[index];
}

std::string Space::describe(const Point& point) const {
  std::string words;
  for (std::size_t i = 0; i < size(); ++i) {
    if (const auto chosen = value(point, i)) {
      words += fmt::format("{}{}: {}", words.empty() ? "" : ", ", parameters_[i].name, short_text(*chosen));
    }
  }
  return "{" + words + "}";
}

Point Space::drop_inactive(Point point) const {
  CHECK(point.size() == size());
  for (std::size_t i = 0; i < size(); ++i) {
    if (!active(point, i)) {
      point[i] = std::nullopt;
    }
  }
  return point;
}

bool Space::contains(const Point& point) const {
  if (point.size() != size()) {
    return false;
  }
  for (std::size_t i = 0; i < size(); ++i) {
    if (point[i] && !has_value(parameters_[i], *point[i])) {
      return false;
    }
    if (point[i].has_value() != active(point, i)) {
      return false;
    }
  }
  return true;
}

bool Space::allows(const Point& point) const {
  return std::all_of(requirements_.begin(), requirements_.end(),
                     [&](const Expression& requirement) { return satisfies(point, requirement); });
}

bool Space::satisfies(const Point& point, const Expression& requirement) const {
  const auto& names = requirement.names();
  const bool applies = std::all_of(names.begin(), names.end(),
                                   [&](const auto& name) { return point[*index_of(name)].has_value(); });
  return !applies || requirement.holds([&](std::string_view name) { return value(point, *index_of(name)); });
}

Space Space::unconditional() const {
  std::vector<Parameter> parameters = parameters_;
  for (Parameter& parameter : parameters) {
    parameter.when.reset();
  }
  return Space(std::move(parameters));
}

bool Space::is_finite() const {
  return std::all_of(parameters_.begin(), parameters_.end(),
                     [](const Parameter& parameter) { return parameter.cardinality().has_value(); });
}

bool Space::active(const Point& point, std::size_t index) const {
  const auto& when = parameters_[index].when;
  return !when || when->holds([&](std::string_view name) {
    const auto earlier = index_of(name);
    CHECK(earlier && *earlier < index, "a condition may use only earlier parameters");
    return value(point, *earlier);
  });
}

}  // namespace regatta

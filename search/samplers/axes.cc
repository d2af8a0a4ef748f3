// Space knows the maps between values and the unit cube; here they are asked for one parameter at a time.
#include "search/samplers/axes.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace regatta {

Axes::Axes(const Space& space) : space_(&space) {
  for (const Parameter& parameter : space.parameters()) {
    Parameter free = parameter;
    free.when.reset();
    has_conditions_ = has_conditions_ || parameter.when.has_value();
    Axis axis{.kind = Kind::continuous, .alone = Space({std::move(free)})};
    if (const auto count = parameter.cardinality()) {
      const bool is_choice = std::holds_alternative<ChoiceDomain>(parameter.domain);
      axis.kind = is_choice ? Kind::categories : Kind::cells;
      axis.count = static_cast<std::size_t>(*count);
    }
    if (const auto* range = std::get_if<IntDomain>(&parameter.domain); range != nullptr && range->log) {
      axis.log_cells = true;
      axis.log_low = std::log(static_cast<double>(range->low) - 0.5);
      axis.log_high = std::log(static_cast<double>(range->high) + 0.5);
    }
    axes_.push_back(std::move(axis));
  }
}

double Axes::coordinate(std::size_t axis, double value) const {
  return axes_[axis].kind == Kind::categories ? value : axes_[axis].alone.to_unit({value}).front();
}

double Axes::value(std::size_t axis, double coordinate) const {
  if (axes_[axis].kind == Kind::categories) {
    return coordinate;
  }
  const Point point = axes_[axis].alone.from_unit({&coordinate, 1});
  CHECK(point.front().has_value());
  return *point.front();
}

Interval Axes::cell(std::size_t axis, double coordinate) const {
  const Axis& at = axes_[axis];
  if (at.kind != Kind::cells) {
    return {coordinate, coordinate};
  }
  if (at.log_cells) {
    const double whole = value(axis, coordinate);
    const auto place = [&](double edge) {
      return std::clamp((std::log(edge) - at.log_low) / (at.log_high - at.log_low), 0.0, 1.0);
    };
    return {place(whole - 0.5), place(whole + 0.5)};
  }
  const auto count = static_cast<double>(at.count);
  const double share = std::min(std::floor(coordinate * count), count - 1);
  return {share / count, (share + 1) / count};
}

std::vector<double> Axes::coordinates(const Point& point) const {
  CHECK(point.size() == size());
  std::vector<double> result(size(), kInactive);
  for (std::size_t axis = 0; axis < size(); ++axis) {
    if (point[axis]) {
      result[axis] = coordinate(axis, *point[axis]);
    }
  }
  return result;
}

Point Axes::uniform_point(Draws& draws) const {
  return build([&](std::size_t axis) {
    return kind(axis) == Kind::categories ? static_cast<double>(draws.below(count(axis))) : draws.uniform();
  });
}

}  // namespace regatta

// Requirements are met by trying again.
#include "search/schedulers/perturb.h"

#include <algorithm>
#include <cmath>

namespace regatta {
namespace {

constexpr std::uint64_t kAttempts = 100;
constexpr double kShrink = 0.8;
constexpr double kGrow = 1.2;
constexpr double kShareOfRange = 0.1;

// From a space of this parameter alone, because in the whole one it may be inactive.
double draw(const Space& space, std::size_t index, double uniform) {
  Parameter alone = space.parameters()[index];
  alone.when.reset();
  return *Space({std::move(alone)}).from_unit(std::vector{uniform})[0];
}

double moved(double value, double low, double high, bool up) {
  const double by = low < 0 ? kShareOfRange * (high - low) : value * (up ? kGrow - 1 : 1 - kShrink);
  return std::clamp(up ? value + by : value - by, low, high);
}

// To the nearest of low + k·step, at least one step away from `value` where the range has one.
double moved_on_grid(double value, double low, double high, double step, bool up) {
  const double last = std::floor((high - low) / step + 1e-9);
  const double from = std::round((value - low) / step);
  double to = std::round((moved(value, low, high, up) - low) / step);
  if (to == from) {
    to += up ? 1 : -1;
  }
  return low + std::clamp(to, 0.0, last) * step;
}

double perturbed(const Parameter& parameter, double value, bool up) {
  if (const auto* range = std::get_if<FloatDomain>(&parameter.domain)) {
    return range->step ? moved_on_grid(value, range->low, range->high, *range->step, up)
                       : moved(value, range->low, range->high, up);
  }
  if (const auto* range = std::get_if<IntDomain>(&parameter.domain)) {
    return moved_on_grid(value, static_cast<double>(range->low), static_cast<double>(range->high),
                         static_cast<double>(range->step), up);
  }
  return value;
}

Point attempt(const Space& space, const Point& point, const PerturbOptions& options, const Random& random) {
  Point result(space.size());
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (!space.active(result, i)) {
      continue;
    }
    const bool changes =
        std::find(options.parameters.begin(), options.parameters.end(), i) != options.parameters.end();
    if (!point[i] || (changes && random.uniform(3 * i) < options.resample)) {
      result[i] = draw(space, i, random.uniform(3 * i + 1));
    } else {
      const bool up = random.uniform(3 * i + 2) < 0.5;
      result[i] = changes ? perturbed(space.parameters()[i], *point[i], up) : *point[i];
    }
  }
  return result;
}

}  // namespace

Point perturb(const Space& space, const Point& point, const PerturbOptions& options, const Random& random) {
  for (std::uint64_t k = 0; k < kAttempts; ++k) {
    Point result = attempt(space, point, options, random.substream(k));
    if (space.contains(result) && space.allows(result)) {
      return result;
    }
  }
  return point;
}

}  // namespace regatta

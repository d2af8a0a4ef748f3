// The space as the samplers that build densities see it: one axis a parameter, in the coordinates of the unit
// cube, where every value of a discrete parameter owns an interval.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/random.h"
#include "experiment/space.h"

namespace regatta {

// The numbers of one Random, one after the other.
class Draws {
 public:
  explicit Draws(const Random& random) : random_(random) {}
  double uniform() { return random_.uniform(next_++); }
  double normal() { return random_.normal(next_++); }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_.below(next_++, bound)); }

 private:
  Random random_;
  std::uint64_t next_ = 0;
};

struct Interval {
  double low = 0;
  double high = 0;
};

// A coordinate is in [0, 1); that of a category is its index; kInactive stands for no value.
inline constexpr double kInactive = std::numeric_limits<double>::quiet_NaN();

class Axes {
 public:
  enum class Kind { continuous, cells, categories };

  explicit Axes(const Space& space);  // which must outlive this

  const Space& space() const { return *space_; }
  std::size_t size() const { return axes_.size(); }
  Kind kind(std::size_t axis) const { return axes_[axis].kind; }
  // Values of an axis of cells or categories.
  std::size_t count(std::size_t axis) const { return axes_[axis].count; }

  double coordinate(std::size_t axis, double value) const;
  // The value, in the encoding of Point, that owns the coordinate, or is nearest to it.
  double value(std::size_t axis, double coordinate) const;
  // The coordinates that stand for the same value; of no width where the axis is continuous.
  Interval cell(std::size_t axis, double coordinate) const;

  std::vector<double> coordinates(const Point& point) const;

  // Calls choose(axis) for every parameter that is active given those before it, in their order, and returns
  // the point whose coordinates it chose.
  template <class Choose>
  Point build(const Choose& choose) const {
    Point point(size());
    for (std::size_t axis = 0; axis < size(); ++axis) {
      if (!has_conditions_ || space_->active(point, axis)) {
        point[axis] = value(axis, choose(axis));
      }
    }
    return point;
  }
  // A point of the uniform distribution: in each parameter, given those before it.
  Point uniform_point(Draws& draws) const;

  // draw() again and again until the space's requirements hold, at most `attempts` times; nullopt: they
  // never did.
  template <class Draw>
  std::optional<Point> allowed(int attempts, const Draw& draw) const {
    for (int attempt = 0; attempt < attempts; ++attempt) {
      Point point = draw();
      if (space_->requirements().empty() || space_->allows(point)) {
        return point;
      }
    }
    return std::nullopt;
  }

 private:
  struct Axis {
    Kind kind;
    std::size_t count = 0;
    bool log_cells = false;  // cells of unequal widths
    double log_low = 0;      // of the lowest cell's lower end, with log_cells
    double log_high = 0;
    Space alone;  // the parameter without its condition, for the maps of Space
  };

  const Space* space_;
  std::vector<Axis> axes_;
  bool has_conditions_ = false;
};

}  // namespace regatta

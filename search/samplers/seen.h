// The points that a study has proposed, kept between calls so that a look-up does not walk the whole history.
#pragma once

#include <cstddef>
#include <set>
#include <span>

#include "search/trial.h"

namespace regatta {

// A cache of the history that a sampler is given: following the same histories in another order gives the
// same answers.
class SeenPoints {
 public:
  // Takes in what `history` has beyond the last one. False: it does not go on from there, so that the points
  // of the last one are forgotten.
  bool follow(std::span<const Trial> history);

  bool contains(const Point& point) const { return points_.contains(point); }
  std::size_t size() const { return points_.size(); }  // distinct ones

 private:
  std::set<Point> points_;
  std::size_t followed_ = 0;  // trials of the history
  Point last_;                // the point of the last of them
};

}  // namespace regatta

// The shapes of points, which say what can share a crew: long texts, kept once and numbered.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "search/trial.h"

namespace regatta {

// A cache of a pure function. Not thread-safe.
class Shapes {
 public:
  // Without a function all points are of one shape.
  explicit Shapes(std::function<std::string(const Point&)> shape_of) : shape_of_(std::move(shape_of)) {}

  int of(const Point& point) {
    return shape_of_ ? numbers_.try_emplace(shape_of_(point), static_cast<int>(numbers_.size())).first->second
                     : 0;
  }
  // trials[i].number == i, and a trial's point never changes.
  int of(std::span<const Trial> trials, int trial) {
    while (of_trials_.size() <= static_cast<std::size_t>(trial)) {
      of_trials_.push_back(of(trials[of_trials_.size()].point));
    }
    return of_trials_[static_cast<std::size_t>(trial)];
  }

 private:
  std::function<std::string(const Point&)> shape_of_;
  std::map<std::string, int> numbers_;
  std::vector<int> of_trials_;
};

}  // namespace regatta

// The branches of a conditional space: trials with the same active parameters. Values tell little about a
// branch in which few trials have been, so none is given up on a few bad points.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "search/samplers/axes.h"
#include "search/samplers/ranking.h"

namespace regatta {

// Also keeps the coordinates of every trial, which say which parameters are active. A cache of the points of
// the history, which never change.
class BranchedTrials {
 public:
  explicit BranchedTrials(const Axes& axes) : axes_(&axes) {}  // which must outlive this

  void update(std::span<const Trial> history);

  std::size_t count() const { return count_; }  // that the history knows
  std::size_t branch_of(int number) const { return branch_of_[static_cast<std::size_t>(number)]; }
  std::span<const double> coordinates(int number) const {
    return std::span(coordinates_).subspan(static_cast<std::size_t>(number) * axes_->size(), axes_->size());
  }
  // Whether the point belongs to the branch. A history of one branch admits every other.
  bool admits(std::size_t branch, const Point& point) const;

  // A branch, drawn. `judged`: trials from best to worst, of which the first `leaders` are the good ones. Of
  // B branches each gets as much of 1/B as it may still catch up with the best, and what remains is divided
  // as the leaders are.
  std::size_t choose(std::span<const TrialRanking::Place> judged, std::size_t leaders, Draws& draws) const;

 private:
  const Axes* axes_;
  std::map<std::vector<bool>, std::size_t> known_;  // active parameters → branch, in the order of appearance
  std::vector<std::size_t> branch_of_;              // by number
  std::vector<double> coordinates_;                 // by number and axis
  std::size_t count_ = 0;
};

// How far a branch may still catch up, from nearly 0 to 1: by its deficit, in units of the distance from its
// best value to its median. `values` in rising order.
double promise(std::span<const double> values, double best);

}  // namespace regatta

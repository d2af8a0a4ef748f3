// The branches of a conditional space: points with the same active parameters and the same choices that
// conditions ask for.
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <vector>

#include "base/random.h"
#include "search/trial.h"

namespace regatta {

class Branches {
 public:
  // A parameter's entry: -1 inactive, 0 active, 1 + the chosen index where conditions ask for it.
  using Key = std::vector<int>;

  // Learns which branches there are from uniform points; the space must outlive this.
  Branches(const Space& space, const Random& random);

  Key key(const Point& point) const;

  // The branches that history has neglected, the one with the fewest trials first: with B branches, each has
  // a right to 1 / (2B) of the trials, so that a few bad points do not end it.
  std::vector<Key> neglected(std::span<const Trial> history) const;

 private:
  const Space* space_;
  std::vector<bool> asked_for_;  // choices that conditions mention
  std::vector<Key> known_;
};

}  // namespace regatta

// What earlier studies tell of this one. Their values may lie on another scale, so only their order counts,
// as in Salinas, Shen, Perrone, "A quantile-based approach for hyperparameter transfer learning", ICML 2020.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "search/context.h"

namespace regatta {

struct EarlierPoint {
  Point point;
  double quantile = 0;    // of its value within its study: near 0 the best, near 1 the worst
  std::size_t study = 0;  // index in SearchContext::earlier
  bool failed = false;    // it has no value and stands with the worst
};

// The points of each study from its best to its worst. Values are compared at one epoch, as gather_evidence()
// chooses it; trials stopped before it, and failed ones, come last. With several objectives a point's place
// is how many others dominate it. Equals share the mean of their places.
std::vector<EarlierPoint> rank_earlier(const std::vector<EarlierStudy>& studies);

// At most `count` of the better points, from the studies in turn, that lie apart from each other.
std::vector<Point> promising_points(const Space& space, std::span<const EarlierPoint> ranked,
                                    std::size_t count);

}  // namespace regatta

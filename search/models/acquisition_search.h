// Looks for the points of a space that promise most: many spread points and variations of good ones, then
// ascents from the best of them, along gradients in continuous parameters and value by value in the others.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/random.h"
#include "search/models/acquisition.h"
#include "search/models/features.h"

namespace regatta {

struct AcquisitionSearchOptions {
  int spread = 128;      // points over the whole space
  int variations = 160;  // of anchors
  int starts = 4;
  int evaluations = 25;  // of each ascent
};

class AcquisitionSearch {
 public:
  AcquisitionSearch(const Space& space, const FeatureMap& map);  // both must outlive this

  struct Found {
    Point point;
    double value = 0;
  };
  // Distinct admissible points, the most promising first; empty where none was found. A function of its
  // arguments.
  std::vector<Found> maximize(const Acquisition& acquisition, std::span<const Point> anchors,
                              const AcquisitionSearchOptions& options, const Random& random,
                              const std::function<bool(const Point&)>& admissible) const;

 private:
  struct Candidate {
    std::vector<double> unit;  // also of inactive parameters, whose coordinates may come to count
    Point point;
    Eigen::VectorXd features;
    double value = 0;
  };
  class Ascent;

  Candidate candidate(std::vector<double> unit) const;
  std::vector<Candidate> first_candidates(std::span<const Point> anchors,
                                          const AcquisitionSearchOptions& options,
                                          const Random& random) const;
  std::vector<double> variation(std::span<const std::vector<double>> anchors, std::uint64_t index,
                                const Random& random) const;

  const Space* space_;
  const FeatureMap* map_;
};

}  // namespace regatta

// Whether two rungs rank their trials alike, up to the noise of the values: PASHA's reason to stop growing.
// Bohdal, Balles, Wistuba, Ermis, Archambeau, Zappella, "PASHA: efficient HPO and NAS with progressive
// resource allocation", ICLR 2023.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "search/trial.h"

namespace regatta {

class RankingNoise {
 public:
  // The curve of a trial so far, in rising epochs. Compares it with all others.
  void update(int trial, const std::vector<Score>& curve);
  // ε: the 90th percentile of the distances between the last common values of those pairs of curves whose
  // order changed and changed back (section 4.2 of the paper); 0 where no pair did.
  double value() const;

 private:
  std::map<int, std::vector<Score>> curves_;           // by trial
  std::map<std::pair<int, int>, double> distance_of_;  // of those pairs, the lower trial first
  std::vector<double> distances_;                      // the same, sorted
};

// Whether each place of the upper ranking is held by a trial whose value in the lower rung is within `noise`
// of that of the trial which holds the place there (soft ranking, section 4.1). Both map trials to values;
// every trial of `upper` is in `lower`.
bool same_ranking(const std::map<int, double>& lower, const std::map<int, double>& upper, double noise);

}  // namespace regatta

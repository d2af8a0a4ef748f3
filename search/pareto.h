// Several objectives, all minimised: who dominates whom, and how much of the space a front covers.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "search/trial.h"

namespace regatta {

using Objectives = std::vector<double>;  // of one trial, one value an objective, none NaN

// At least as good in every objective and better in one.
bool dominates(const Objectives& a, const Objectives& b);

// The front of each: 0 for those that none dominates, 1 for those that only front 0 dominates, and so on. Two
// objectives in O(n log n); more by binary search among the fronts (Zhang et al., "An efficient approach to
// nondominated sorting for evolutionary multiobjective optimization", IEEE TEC 19(2), 2015).
std::vector<std::size_t> nondominated_fronts(std::span<const Objectives> values);

// Of the members of one front: the sum over objectives of the distance between a member's two neighbours,
// each objective scaled to the front's range; infinite at the ends. Deb et al., "A fast and elitist
// multiobjective genetic algorithm: NSGA-II", IEEE TEC 6(2), 2002.
std::vector<double> crowding_distances(std::span<const Objectives> front);

// The indices of values from best to worst: by front, then from lonely to crowded, then as given.
std::vector<std::size_t> pareto_order(std::span<const Objectives> values);

// The numbers of the complete trials that none of them dominates, the best by the first objective first;
// where none is complete, of the stopped ones.
std::vector<int> pareto_front(std::span<const Trial> trials);

// The volume that the points dominate within the box below `reference`; what lies beyond it counts nothing.
// Exact for any number of objectives, exponential in it: While, Bradstreet, Barone, "A fast way of
// calculating exact hypervolumes", IEEE TEC 16(1), 2012.
double hypervolume(std::span<const Objectives> points, const Objectives& reference);

}  // namespace regatta

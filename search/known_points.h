// `search.try`: points that the user knows to be good, to be tried before the sampler's own.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "experiment/node.h"
#include "experiment/space.h"

namespace regatta {

// Reads a list of maps from names to values. Parameters that a map leaves out are drawn at random by `seed`,
// such that all that is given exists and the requirements hold. The points are distinct and allowed. Located
// mistakes: names that are no parameters, values outside their domain, parameters that do not exist beside
// the others that are given, points that a requirement refuses, the same point twice.
Result<std::vector<Point>> read_known_points(const Node& node, const Space& space, std::uint64_t seed);

}  // namespace regatta

// The explore step of population based training: a point near another one.
#pragma once

#include <vector>

#include "base/random.h"
#include "experiment/space.h"

namespace regatta {

struct PerturbOptions {
  std::vector<std::size_t> parameters;  // that may change; the others keep their values
  double resample = 0.25;               // probability that a parameter is drawn anew from its whole range
};

// Numbers are multiplied by 0.8 or 1.2 (Jaderberg et al. 2017, section 4.1.1), whole ones moved by a step at
// least; where a range goes below zero, a tenth of it is added or taken. Choices change only by being drawn
// anew. A parameter that becomes active by the change of another is drawn. The result lies in the space and
// meets its requirements; where none is found it is `point` itself.
Point perturb(const Space& space, const Point& point, const PerturbOptions& options, const Random& random);

}  // namespace regatta

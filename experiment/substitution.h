// Where $name may stand: the checks that load_experiment makes before any trial is run.
#pragma once

#include <vector>

#include "experiment/node.h"
#include "experiment/space.h"

namespace regatta {

// Every $name below `node` must be a parameter; marks those in `used`, one flag a parameter.
Status check_references(const Node& node, const Space& space, std::vector<bool>& used);

// No $ may stand below `node`.
Status refuse_references(const Node& node);

}  // namespace regatta

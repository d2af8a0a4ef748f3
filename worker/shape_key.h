// Which trials can share an engine: those that differ in nothing but what each lane has of its own.
#pragma once

#include <string>

#include "base/result.h"
#include "experiment/experiment.h"

namespace regatta {

// A text that two points have in common exactly when a crew can train them side by side: the data, the
// network and the training with every $name replaced, without what a lane has of its own (the optimizer's
// options, schedule, early stopping, the rates of dropout layers). Reads no data. An error: the point cannot be
// trained at all.
Result<std::string> shape_key(const Experiment& experiment, const Point& point);

}  // namespace regatta

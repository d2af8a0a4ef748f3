// The training loop: one attempt of one trial over the ranks of a crew.
#pragma once

#include "base/result.h"
#include "worker/attempt.h"
#include "worker/workbench.h"

namespace regatta {

// Called by all ranks with the same order; only the leader has a control. Trains from the checkpoint, reports
// each epoch once its checkpoint is on disk, and ends for the same reason on every rank. What was suspended
// goes on with the same bits, given the same number of ranks. An error means that the crew itself is broken.
Result<AttemptEnd> train(Workbench& bench, const AttemptOrder& order, AttemptControl* control);

}  // namespace regatta

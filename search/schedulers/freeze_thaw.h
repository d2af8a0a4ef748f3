// Trials are frozen and thawed by a model of all learning curves. After Swersky, Snoek, Adams, "Freeze-thaw
// Bayesian optimization", arXiv:1406.3896 (2014), and Wistuba, Kadra, Grabocka, "Supervising the
// multi-fidelity race of hyperparameter configurations" (DyHPO), NeurIPS 2022.
#pragma once

#include <memory>

#include "search/scheduler.h"

namespace regatta {

// {type: freeze-thaw, min_epochs: 1, max_epochs: R, points: model | sampler}.
//
// A trial trains in short steps, to 1, 2, 3, 4, 6, 8, 11, … times min_epochs, and pauses after each. A free
// crew then takes the paused trial, or a new one, for which the model expects most improvement on the best
// value so far per epoch of training (expected improvement at a later budget / epochs until there, the best
// over all budgets). The points of the first trials are the sampler's; after that they are the model's own,
// or with `points: sampler` the sampler's. When no new trials are allowed any more, paused trials go on as
// long as one has a chance of a new best. With several objectives the first one counts.
Result<std::unique_ptr<Scheduler>> make_freeze_thaw(const Typed& config, const SearchContext& context);

}  // namespace regatta

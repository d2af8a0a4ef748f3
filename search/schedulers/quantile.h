// Trials that do worse than their predecessors did at the same epoch end early; nothing is ever paused.
#pragma once

#include <memory>

#include "search/scheduler.h"

namespace regatta {

// {type: median, max_epochs: R, grace_epochs: 0, startup_trials: 5, average: false}
// {type: percentile, percentile: 25, …}
//
// Judged is every report after `grace_epochs`, once `startup_trials` trials are complete, against the
// complete trials that reported at the same epoch. As Optuna's MedianPruner and PercentilePruner: a trial
// ends where its best value so far is worse than the percentile of their values there (50 for `median`;
// between two of them by linear interpolation). average: as Google Vizier's stopping rule (Golovin et al.,
// "Google Vizier: a service for black-box optimization", KDD 2017, section 3.2.2): against the percentile of
// the means of their values up to there. With several objectives it must be
// so in all of them.
Result<std::unique_ptr<Scheduler>> make_median(const Typed& config, const SearchContext& context);
Result<std::unique_ptr<Scheduler>> make_percentile(const Typed& config, const SearchContext& context);

// The value below which `percentile` percent of `sorted` lie, at position percentile / 100 · (size - 1),
// between neighbours by linear interpolation (the default of numpy.percentile). `sorted` is not empty.
double percentile_of(const std::vector<double>& sorted, double percentile);

}  // namespace regatta

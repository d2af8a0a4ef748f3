// Population based training: the parameters of a trial change while it trains. Jaderberg, Dalibard, Osindero,
// Czarnecki, et al., "Population based training of neural networks", arXiv:1711.09846 (2017).
#pragma once

#include <memory>

#include "search/scheduler.h"

namespace regatta {

// {type: pbt, max_epochs: R, population: 8, interval: R / 10, quantile: 0.25, resample: 0.25,
//  perturb: [names]}.
//
// A population of trials trains side by side, or in turns where there are fewer crews; the one with the
// fewest epochs comes first. After every `interval` epochs a trial whose latest value is among the worst
// `quantile` of the population's ends as stopped (exploit), and its place goes to a new trial, which begins
// with the newest checkpoint of one of the best `quantile`, at its epoch, and with a point near its parent's
// (explore). A trial that fails is replaced in the same way. `perturb` names the parameters that may change;
// all, unless given. When the whole population has ended, another one begins.
Result<std::unique_ptr<Scheduler>> make_pbt(const Typed& config, const SearchContext& context);

}  // namespace regatta

// The tree-structured Parzen estimator: points where a density of the good trials is large in proportion to a
// density of the others. Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011;
// multivariate, and over trials of different lengths, as in Falkner, Klein, Hutter, "BOHB", ICML 2018.
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: tpe, startup: 10, candidates: 24, gamma: 0.15, random_fraction: 0}. Trials that run, failed or were
// stopped count among the others. With several objectives trials are ranked by Pareto fronts. In a
// conditional space the trials that share their active parameters are a branch with a good set of its own,
// and each branch keeps a share of the proposals for as long as its values may still catch up.
Result<std::unique_ptr<Sampler>> make_tpe(const Typed& config, const SearchContext& context);

}  // namespace regatta

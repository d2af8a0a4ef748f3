// Evolution strategy with covariance matrix adaptation and restarts with a larger population: Hansen,
// "The CMA evolution strategy: a tutorial", arXiv:1604.00772; Auger, Hansen, "A restart CMA evolution
// strategy with increasing population size", CEC 2005.
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: cma-es, population: λ, sigma: 1/6}. `population` by default grows with the logarithm of the number
// of parameters; `sigma` is the first standard deviation, in ranges. One objective.
//
// A generation is λ trials with consecutive numbers. It is learnt from when it is over, from those that have
// ended, if they are half at least; failed trials are the worst. Trials of an older generation that end later
// are learnt from as if they had been there. Integers count as the middle of what is rounded to them,
// blurred; categories are drawn from a probability vector that learns from the same generations (Hamano et
// al., "CatCMA", GECCO 2024); inactive parameters do not take part in selection.
Result<std::unique_ptr<Sampler>> make_cma_es(const Typed& config, const SearchContext& context);

}  // namespace regatta

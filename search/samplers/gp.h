// Bayesian optimisation with a Gaussian process: the next point is the one with the largest expected
// improvement. Jones, Schonlau, Welch, "Efficient global optimization of expensive black-box functions",
// J. Global Optimization 13 (1998); what is newer is named in search/models.
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: gp}. One objective; several are the user's mistake.
Result<std::unique_ptr<Sampler>> make_gp(const Typed& config, const SearchContext& context);

}  // namespace regatta

// Points of a scrambled Sobol sequence: they cover the space more evenly than random ones.
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: sobol}. At most SobolSequence::kMaxDimensions parameters. In a finite space a point that stands
// already is replaced by a random one.
Result<std::unique_ptr<Sampler>> make_sobol(const Typed& config, const SearchContext& context);

}  // namespace regatta

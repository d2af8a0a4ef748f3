// Every point of a finite space, once, in the order of the space.
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: grid}. A continuous parameter, or more than a million points, is the user's mistake.
Result<std::unique_ptr<Sampler>> make_grid(const Typed& config, const SearchContext& context);

}  // namespace regatta

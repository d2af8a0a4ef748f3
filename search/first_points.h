// What is tried before, and at first between, a sampler's own points: the points that the user knows to be
// good (search.try) and the best of earlier studies (search.learn_from).
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// The known points come first, in their order; then the promising earlier points take turns with the
// sampler's. A point that has been proposed is left out. They stand in the history like any other, so the
// sampler learns from them. Returns `sampler` itself when there is nothing to try.
std::unique_ptr<Sampler> with_first_points(std::unique_ptr<Sampler> sampler, const SearchContext& context);

}  // namespace regatta

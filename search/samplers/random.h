// Independent uniform points. Bergstra and Bengio, "Random search for hyper-parameter optimization", JMLR 13
// (2012).
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: random}. Finite spaces are drawn without replacement.
Result<std::unique_ptr<Sampler>> make_random(const Typed& config, const SearchContext& context);

}  // namespace regatta

// Several objectives by a model for one: Knowles, "ParEGO: a hybrid algorithm with on-line landscape
// approximation for expensive multiobjective optimization problems", IEEE TEC 10(1), 2006.
#pragma once

#include <memory>

#include "search/sampler.h"

namespace regatta {

// {type: parego, model: gp}. `model`: a sampler for one objective, by name or with its options. Each trial
// is proposed by this sampler for an augmented Chebyshev sum of the objectives with weights of its own.
Result<std::unique_ptr<Sampler>> make_parego(const Typed& config, const SearchContext& context);

}  // namespace regatta

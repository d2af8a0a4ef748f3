// Earlier studies as evidence for model samplers. While a study has few values of its own, its model is shown
// some earlier trials as if they were the study's, with values on its scale.
#pragma once

#include <functional>
#include <memory>

#include "search/sampler.h"

namespace regatta {

// Wraps a sampler that builds a model of the history. The history that the model is given begins with pseudo
// trials: the best earlier points and a spread of the others. Their values are what a regression of the own
// values on the earlier scores predicts, and never better than what this study has measured at an earlier
// point, since the best of those are tried first. They become fewer with every own value, and at once when
// the own values say something else than the earlier ones; then the model has the history alone. With several
// objectives, and in small finite spaces, where a model must not take an earlier point for one that this
// study has tried, `sampler` is returned as it is. `make` makes another like it.
std::unique_ptr<Sampler> with_warm_start(std::unique_ptr<Sampler> sampler,
                                         std::function<std::unique_ptr<Sampler>()> make,
                                         const SearchContext& context);

}  // namespace regatta

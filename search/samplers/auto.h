// The sampler for those who do not want to choose one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "search/sampler.h"

namespace regatta {

// {type: auto}. Takes no options.
Result<std::unique_ptr<Sampler>> make_auto(const Typed& config, const SearchContext& context);

// Which sampler proposes which trials.
struct AutoPhase {
  int first = 0;        // trial; the phase ends where the next begins
  std::string sampler;  // YAML, as in search.sampler
};
std::vector<AutoPhase> auto_phases(const SearchContext& context);

}  // namespace regatta

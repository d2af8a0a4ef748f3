// The table of samplers: a new one is registered here and nowhere else.
#include "search/sampler.h"

#include <array>

#include "base/check.h"
#include "search/registry.h"
#include "search/samplers/gp.h"
#include "search/samplers/grid.h"
#include "search/samplers/random.h"
#include "search/samplers/sobol.h"

namespace regatta {
namespace {

struct SamplerEntry {
  std::string_view name;
  Result<std::unique_ptr<Sampler>> (*make)(const Typed& config, const SearchContext& context);
  bool covers_space = false;
};

constexpr std::array kSamplers = {
    SamplerEntry{.name = "gp", .make = make_gp},
    SamplerEntry{.name = "grid", .make = make_grid, .covers_space = true},
    SamplerEntry{.name = "random", .make = make_random},
    SamplerEntry{.name = "sobol", .make = make_sobol},
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_sampler(const Typed& config, const SearchContext& context) {
  CHECK(context.space != nullptr);
  ASSIGN_OR_RETURN(const auto* entry, find_named(kSamplers, config, "a sampler"));
  return entry->make(config, context);
}

std::vector<std::string> sampler_names() { return names_of(kSamplers); }

bool sampler_covers_space(std::string_view name) {
  const auto found = std::find_if(kSamplers.begin(), kSamplers.end(),
                                  [&](const SamplerEntry& entry) { return entry.name == name; });
  return found != kSamplers.end() && found->covers_space;
}

}  // namespace regatta

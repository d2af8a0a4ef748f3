// The table of samplers: a new one is registered here and nowhere else.
#include "search/sampler.h"

#include <array>

#include "base/check.h"
#include "search/first_points.h"
#include "search/registry.h"
#include "search/samplers/auto.h"
#include "search/samplers/cma_es.h"
#include "search/samplers/gp.h"
#include "search/samplers/grid.h"
#include "search/samplers/nsga2.h"
#include "search/samplers/parego.h"
#include "search/samplers/random.h"
#include "search/samplers/sobol.h"
#include "search/samplers/tpe.h"
#include "search/warm_start.h"

namespace regatta {
namespace {

struct SamplerEntry {
  std::string_view name;
  Result<std::unique_ptr<Sampler>> (*make)(const Typed& config, const SearchContext& context);
  bool covers_space = false;
  bool has_model = false;  // learns from the trials of earlier studies as from the history
};

constexpr std::array kSamplers = {
    SamplerEntry{.name = "auto", .make = make_auto},
    SamplerEntry{.name = "cma-es", .make = make_cma_es},
    SamplerEntry{.name = "gp", .make = make_gp, .has_model = true},
    SamplerEntry{.name = "grid", .make = make_grid, .covers_space = true},
    SamplerEntry{.name = "nsga2", .make = make_nsga2},
    SamplerEntry{.name = "parego", .make = make_parego},
    SamplerEntry{.name = "random", .make = make_random},
    SamplerEntry{.name = "sobol", .make = make_sobol},
    SamplerEntry{.name = "tpe", .make = make_tpe, .has_model = true},
};

}  // namespace

Result<std::unique_ptr<Sampler>> make_sampler(const Typed& config, const SearchContext& context) {
  CHECK(context.space != nullptr);
  ASSIGN_OR_RETURN(const auto* entry, find_named(kSamplers, config, "a sampler"));
  ASSIGN_OR_RETURN(auto sampler, entry->make(config, context));
  if (entry->has_model) {
    sampler = with_warm_start(
        std::move(sampler), [=] { return entry->make(config, context).value(); }, context);
  }
  return with_first_points(std::move(sampler), context);
}

std::vector<std::string> sampler_names() { return names_of(kSamplers); }

bool sampler_covers_space(std::string_view name) {
  const auto found = std::find_if(kSamplers.begin(), kSamplers.end(),
                                  [&](const SamplerEntry& entry) { return entry.name == name; });
  return found != kSamplers.end() && found->covers_space;
}

}  // namespace regatta

// Samplers choose points. A sampler knows no storage, wire or clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "experiment/section.h"
#include "search/context.h"
#include "search/trial.h"

namespace regatta {

class Sampler {
 public:
  virtual ~Sampler() = default;

  // The point of trial `number`, given every trial proposed before it: history[i].number == i, and trials
  // that still wait or run are among them, so that parallel proposals differ. nullopt: the space is
  // exhausted. A function of (seed, history, number): the same study asks again after a crash and gets the
  // same answer. What an implementation keeps between calls is a cache only. Not thread-safe.
  virtual std::optional<Point> propose(std::span<const Trial> history, int number) = 0;
};

// Makes the sampler that `search.sampler` names; unknown names and options are located mistakes.
Result<std::unique_ptr<Sampler>> make_sampler(const Typed& config, const SearchContext& context);
std::vector<std::string> sampler_names();
// Whether the sampler proposes every point of a finite space once and then ends, so that the space's size is
// the natural number of trials.
bool sampler_covers_space(std::string_view name);

}  // namespace regatta

// The trials of an earlier study in the space of this one, by the names and values of their parameters.
#pragma once

#include <cstdint>
#include <span>

#include "search/context.h"

namespace regatta {

// Takes the ended trials that have a value or have failed, in their order. Parameters that only this space
// has are drawn at random by `seed`: what is not known of them is spread, so that no value of theirs looks
// good or bad. Parameters that only the other space has are left out. Trials with a value outside its domain
// here, or whose point a requirement refuses, are counted as outside. `values` and `scores` stay as they are.
EarlierStudy transfer(const Space& theirs, std::span<const Trial> trials, const Space& ours,
                      std::uint64_t seed);

}  // namespace regatta

// What a sampler or a scheduler is made from besides its options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "experiment/space.h"
#include "search/trial.h"

namespace regatta {

// An earlier study to learn from: its ended trials, their points carried over to this study's space. Its
// values may lie on another scale; only their order and shape are evidence.
struct EarlierStudy {
  std::vector<Trial> trials;  // numbered from 0
  int outside = 0;            // others that were left out: their points lie outside this study's space
};

struct SearchContext {
  const Space* space = nullptr;  // must outlive what is made
  std::uint64_t seed = 0;
  std::size_t objectives = 1;
  std::vector<Point> known;   // complete, allowed and distinct points that are tried first, in this order
  std::optional<int> trials;  // after how many the study ends, where that is known
  std::vector<EarlierStudy> earlier;
};

}  // namespace regatta

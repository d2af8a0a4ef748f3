// The points that a model begins with, before it has trials to learn from.
#pragma once

#include <cstdint>
#include <optional>

#include "search/samplers/axes.h"
#include "search/samplers/sobol_sequence.h"

namespace regatta {

// Scrambled Sobol points, which cover the space evenly; independent ones in a space with more parameters than
// the sequence has, and instead of points that the space's requirements forbid.
class StartupPoints {
 public:
  StartupPoints(const Axes& axes, const Random& random);  // `axes` must outlive this

  // Point `index` of the sequence; `draws` for what replaces it.
  Point point(std::uint64_t index, Draws& draws);
  // Uniform where the requirements hold; where a thousand points all violate them, one that does.
  Point uniform_point(Draws& draws) const;

 private:
  const Axes* axes_;
  std::optional<SobolSequence> sequence_;
};

}  // namespace regatta

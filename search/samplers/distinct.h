// Keeps proposals within the requirements of a space, and in a finite space from repeating, as long as there
// is a point that nobody has proposed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/random.h"
#include "experiment/space.h"
#include "search/samplers/seen.h"
#include "search/trial.h"

namespace regatta {

// Points drawn again until one is allowed and new. In a space that is not finite the first allowed draw is
// taken: there a repetition has probability zero, or is as rare as the sampler makes it.
class DistinctPoints {
 public:
  explicit DistinctPoints(const Space& space)
      : space_(&space), is_finite_(space.is_finite()), cardinality_(space.cardinality()) {}

  // The first of draw(0), draw(1), … that is allowed and not in history; where they are scarce, a point
  // chosen by `random` among those left. nullopt: history holds every allowed point. In a finite space too
  // large to list, a repeated point after kMaxDraws.
  std::optional<Point> choose(std::span<const Trial> history,
                              const std::function<Point(std::uint64_t attempt)>& draw, const Random& random);

 private:
  static constexpr std::uint64_t kCheapDraws = 16;  // each compared with the whole history
  static constexpr std::uint64_t kMaxDraws = 1000;
  static constexpr std::uint64_t kMaxRequiredDraws = 20000;  // where requirements refuse most of them
  static constexpr std::uint64_t kMaxListed = 20000;         // points of a space that is listed

  bool list();  // whether all_ holds the space
  std::optional<Point> choose_listed(const Random& random) const;
  // From an allowed point towards a random one, as far as is allowed.
  std::optional<Point> beside_allowed(const Random& random);

  const Space* space_;
  bool is_finite_;
  std::optional<std::uint64_t> cardinality_;  // nullopt: not finite, or beyond counting
  bool was_listed_ = false;
  std::vector<Point> all_;      // the listed space, filled when first needed
  std::vector<Point> allowed_;  // some allowed points, filled when first needed
  SeenPoints seen_;             // followed when draws have become scarce
};

}  // namespace regatta

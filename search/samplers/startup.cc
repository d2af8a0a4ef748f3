// Requirements are met by drawing again.
#include "search/samplers/startup.h"

namespace regatta {
namespace {

constexpr int kMaxDraws = 1000;

}  // namespace

StartupPoints::StartupPoints(const Axes& axes, const Random& random) : axes_(&axes) {
  if (axes.size() <= SobolSequence::kMaxDimensions) {
    sequence_.emplace(axes.size(), random);
  }
}

Point StartupPoints::point(std::uint64_t index, Draws& draws) {
  if (sequence_) {
    Point point = axes_->space().from_unit(sequence_->point(index));
    if (axes_->space().allows(point)) {
      return point;
    }
  }
  return uniform_point(draws);
}

Point StartupPoints::uniform_point(Draws& draws) const {
  for (int attempt = 0; attempt + 1 < kMaxDraws; ++attempt) {
    Point point = axes_->uniform_point(draws);
    if (axes_->space().allows(point)) {
      return point;
    }
  }
  return axes_->uniform_point(draws);
}

}  // namespace regatta

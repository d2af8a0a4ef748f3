// Histories grow at their end only, so one that is shorter, or differs in the last trial known, is another.
#include "search/samplers/seen.h"

namespace regatta {

bool SeenPoints::follow(std::span<const Trial> history) {
  const bool goes_on =
      followed_ <= history.size() && (followed_ == 0 || history[followed_ - 1].point == last_);
  if (!goes_on) {
    points_.clear();
    followed_ = 0;
  }
  for (; followed_ < history.size(); ++followed_) {
    points_.insert(history[followed_].point);
  }
  last_ = history.empty() ? Point{} : history.back().point;
  return goes_on;
}

}  // namespace regatta

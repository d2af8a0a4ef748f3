// Two ordered sets split at the quota; an insertion moves at most one entry across.
#include "search/schedulers/ranked_rung.h"

#include <cmath>

#include "base/check.h"

namespace regatta {

void RankedRung::record(const Ranked& entry) {
  CHECK(!std::isnan(entry.value), "a score without a value has no rank");
  const bool ahead = !top_.empty() && entry < *top_.rbegin();
  (ahead ? top_ : rest_).insert(entry);
  const auto quota = static_cast<std::size_t>(size() / eta_);
  while (top_.size() > quota) {
    rest_.insert(top_.extract(std::prev(top_.end())));
  }
  while (top_.size() < quota) {
    top_.insert(rest_.extract(rest_.begin()));
  }
}

bool RankedRung::in_top(const Ranked& entry) const { return !top_.empty() && entry <= *top_.rbegin(); }

std::optional<Ranked> RankedRung::promotable() const {
  if (candidates_.empty() || !in_top(*candidates_.begin())) {
    return std::nullopt;
  }
  return *candidates_.begin();
}

}  // namespace regatta

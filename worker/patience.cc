// The comparison that early stopping makes once an epoch.
#include "worker/patience.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace regatta {

void Patience::observe(double value) {
  CHECK(rule_.has_value());
  const bool improved =
      !best_ || (rule_->maximize ? value > *best_ + rule_->min_delta : value < *best_ - rule_->min_delta);
  if (std::isfinite(value) && improved) {
    best_ = value;
    epochs_since_ = 0;
  } else {
    ++epochs_since_;
  }
}

std::string Patience::describe() const {
  return fmt::format("early stopping: {} has not been better than {} for {} epochs", rule_->metric,
                     best_ ? format_number(*best_) : "nothing", epochs_since_);
}

std::vector<double> Patience::state() const {
  if (!rule_) {
    return {};
  }
  return {best_ ? 1.0 : 0.0, best_.value_or(0), static_cast<double>(epochs_since_)};
}

bool Patience::restore(const std::vector<double>& state) {
  if (!rule_) {
    return state.empty();
  }
  if (state.size() != 3 || state[2] < 0) {
    return false;
  }
  best_ = state[0] != 0 ? std::optional(state[1]) : std::nullopt;
  epochs_since_ = static_cast<int>(state[2]);
  return true;
}

}  // namespace regatta

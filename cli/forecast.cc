// Progress is epochs trained of epochs planned where the scheduler knows them, else trials tried of trials
// allowed.
#include "cli/forecast.h"

#include <algorithm>

#include "base/seconds.h"
#include "cli/study_plan.h"
#include "cli/trial_text.h"

namespace regatta {
namespace {

constexpr double kLeastProgress = 0.01;  // below this an estimate would jump about

}  // namespace

Forecast::Forecast(const Study& study, const Clock& clock)
    : study_(study), clock_(clock), started_(clock.monotonic()), progress_before_(progress().value_or(0)) {}

std::optional<double> Forecast::progress() const {
  const std::optional<int> limit = study_.trial_limit();
  if (const auto planned = planned_epochs(study_.scheduler(), limit); planned && *planned > 0) {
    double trained = 0;
    for (const TrialRecord& record : study_.records()) {
      trained += static_cast<double>(record.reports.size());
    }
    return std::min(trained / *planned, 1.0);
  }
  if (limit && *limit > 0) {
    const TrialCounts counts = count_trials(study_);
    return std::min(static_cast<double>(counts.ended() + counts.paused) / *limit, 1.0);
  }
  return std::nullopt;
}

std::optional<double> Forecast::seconds_left() const {
  std::optional<double> left;
  const std::optional<double> done = progress();
  if (done && *done - progress_before_ >= kLeastProgress) {
    const double pace = (*done - progress_before_) / in_seconds(clock_.monotonic() - started_);
    left = (1 - *done) / pace;
  }
  if (const auto hours = study_.config().stop.hours) {
    const double until_limit = std::max(*hours * 3600 - in_seconds(study_.elapsed(clock_.wall())), 0.0);
    left = std::min(left.value_or(until_limit), until_limit);
  }
  return left;
}

}  // namespace regatta

// How long a running study will still take, by the epochs that this session has trained so far.
#pragma once

#include <optional>

#include "base/clock.h"
#include "coordinator/study.h"

namespace regatta {

class Forecast {
 public:
  // At the start of a session: what was done before does not count for the pace. Both must outlive it.
  Forecast(const Study& study, const Clock& clock);

  // nullopt: too early to tell, or the study has no planned end.
  std::optional<double> seconds_left() const;

 private:
  // 0 … 1 of the planned work; nullopt: unknown.
  std::optional<double> progress() const;

  const Study& study_;
  const Clock& clock_;
  Microseconds started_;
  double progress_before_ = 0;
};

}  // namespace regatta

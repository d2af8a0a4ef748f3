// The learning rate's factor over the epochs.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/model.h"

namespace regatta {

double schedule_factor(const ScheduleConfig& schedule, double epoch) {
  if (epoch < schedule.warmup_epochs) {
    return epoch / schedule.warmup_epochs;
  }
  const double since_warmup = epoch - schedule.warmup_epochs;
  switch (schedule.kind) {
    case ScheduleConfig::Kind::constant:
      return 1;
    case ScheduleConfig::Kind::cosine: {  // Loshchilov and Hutter 2017, equation 5, without restarts
      const double span = schedule.total_epochs - schedule.warmup_epochs;
      const double share = span > 0 ? std::min(since_warmup / span, 1.0) : 1.0;
      const double cosine = (1 + std::cos(std::numbers::pi * share)) / 2;
      return schedule.final_factor + (1 - schedule.final_factor) * cosine;
    }
    case ScheduleConfig::Kind::step:
      return std::pow(schedule.step_factor, std::floor(since_warmup / schedule.step_epochs));
  }
  check_failed("a known kind of schedule", __FILE__, __LINE__);
}

}  // namespace regatta

// The names of checkpoints.
#include "worker/attempt.h"

#include <fmt/format.h>

namespace regatta {

std::string checkpoint_folder(int trial) { return fmt::format("checkpoints/trial-{:05}", trial); }

std::string checkpoint_name(const AttemptOrder& order, std::int64_t epoch, std::int64_t step) {
  const std::string name =
      fmt::format("{}/attempt-{:04}-epoch-{:03}", checkpoint_folder(order.trial), order.attempt, epoch);
  return step > 0 ? fmt::format("{}-step-{:05}", name, step) : name;
}

}  // namespace regatta

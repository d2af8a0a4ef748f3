// The columns of `regatta trials` and `regatta best`.
#include "cli/trial_json.h"

#include <algorithm>
#include <cmath>

#include "cli/trial_text.h"

namespace regatta {
namespace {

nlohmann::ordered_json number_json(double number) {
  return std::isfinite(number) ? nlohmann::ordered_json(number) : nlohmann::ordered_json();
}

// What the reports say of their cards: the most memory, and the mean utilization. Nothing on CPUs.
void add_card_load(const std::vector<Reported>& reports, nlohmann::ordered_json& json) {
  std::uint64_t memory_bytes = 0;
  double utilization = 0;
  int count = 0;
  for (const Reported& report : reports) {
    memory_bytes = std::max(memory_bytes, report.card.memory_bytes.value_or(0));
    if (report.card.utilization) {
      utilization += *report.card.utilization;
      ++count;
    }
  }
  if (memory_bytes > 0) {
    json["gpu_memory_bytes"] = memory_bytes;
  }
  if (count > 0) {
    json["gpu_utilization"] = number_json(utilization / count);
  }
}

}  // namespace

nlohmann::ordered_json value_json(const Value& value) {
  return std::visit(
      [](const auto& held) -> nlohmann::ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::nullptr_t>) {
          return {};
        } else {
          return held;
        }
      },
      value);
}

nlohmann::ordered_json metrics_json(const Metrics& metrics) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : metrics) {
    json[name] = number_json(value);
  }
  return json;
}

nlohmann::ordered_json trial_json(const Study& study, int trial) {
  const Trial& found = study.trials()[static_cast<std::size_t>(trial)];
  const TrialRecord& record = study.records()[static_cast<std::size_t>(trial)];
  const Space& space = study.experiment().space;
  nlohmann::ordered_json parameters = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (const auto value = space.value(found.point, i)) {
      parameters[space.parameters()[i].name] = value_json(*value);
    }
  }
  double seconds = 0;
  for (const Reported& report : record.reports) {
    seconds += report.seconds;
  }
  const auto value = user_value(study, trial);
  nlohmann::ordered_json json = {{"trial", trial},
                                 {"state", to_string(found.state)},
                                 {"value", value ? number_json(*value) : nlohmann::ordered_json()},
                                 {"best_epoch", record.best_epoch},
                                 {"epochs", trained_epochs(study, trial)},
                                 {"bracket", record.bracket},
                                 {"seconds", seconds},
                                 {"attempts_lost", record.attempts_lost},
                                 {"parameters", parameters},
                                 {"message", record.message}};
  add_card_load(record.reports, json);
  if (study.experiment().objectives.size() > 1) {
    json["values"] = metrics_json(user_values(study, trial));
  }
  return json;
}

}  // namespace regatta

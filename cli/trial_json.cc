// The columns of `regatta trials` and `regatta best`.
#include "cli/trial_json.h"

#include <cmath>

#include "cli/trial_text.h"

namespace regatta {
namespace {

nlohmann::ordered_json number_json(double number) {
  return std::isfinite(number) ? nlohmann::ordered_json(number) : nlohmann::ordered_json();
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
  if (study.experiment().objectives.size() > 1) {
    json["values"] = metrics_json(user_values(study, trial));
  }
  return json;
}

}  // namespace regatta

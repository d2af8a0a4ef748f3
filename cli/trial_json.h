// Trials as JSON: parameters keep their types, values are in the user's direction.
#pragma once

#include <nlohmann/json.hpp>

#include "coordinator/study.h"

namespace regatta {

nlohmann::ordered_json value_json(const Value& value);
// NaN and infinity become null.
nlohmann::ordered_json metrics_json(const Metrics& metrics);
nlohmann::ordered_json trial_json(const Study& study, int trial);

}  // namespace regatta

// Between a report's metrics, in the user's direction, and the values that the search minimises.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "coordinator/events.h"
#include "experiment/experiment.h"

namespace regatta {

const double* find_metric(const Metrics& metrics, std::string_view name);  // nullptr: not there

// One value an objective, lower is better; may hold NaN. nullopt: an objective's metric is not there.
std::optional<std::vector<double>> objective_values(const Experiment& experiment, const Metrics& metrics);

bool all_finite(const std::vector<double>& values);

// Why no value could be taken: the objective that is missing, and the metrics that are there.
std::string describe_missing_objective(const Experiment& experiment, const Metrics& metrics);

}  // namespace regatta

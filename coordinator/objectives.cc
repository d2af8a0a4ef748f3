// Metrics to objective values.
#include "coordinator/objectives.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace regatta {

const double* find_metric(const Metrics& metrics, std::string_view name) {
  const auto found =
      std::find_if(metrics.begin(), metrics.end(), [&](const auto& metric) { return metric.first == name; });
  return found == metrics.end() ? nullptr : &found->second;
}

std::optional<std::vector<double>> objective_values(const Experiment& experiment, const Metrics& metrics) {
  std::vector<double> values;
  for (const Objective& objective : experiment.objectives) {
    const double* metric = find_metric(metrics, objective.metric);
    if (metric == nullptr) {
      return std::nullopt;
    }
    values.push_back(in_user_direction(objective, *metric));
  }
  return values;
}

bool all_finite(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

std::string describe_missing_objective(const Experiment& experiment, const Metrics& metrics) {
  std::vector<std::string> names;
  for (const auto& [name, value] : metrics) {
    names.push_back(name);
  }
  for (const Objective& objective : experiment.objectives) {
    if (find_metric(metrics, objective.metric) == nullptr) {
      return fmt::format("the objective '{}' is not among the reported metrics: {}{}", objective.metric,
                         names.empty() ? "none were reported" : fmt::format("{}", fmt::join(names, ", ")),
                         did_you_mean(objective.metric, names));
    }
  }
  return {};
}

}  // namespace regatta

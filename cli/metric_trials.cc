// As the study itself does it: one objective counts by its best value so far, several by their latest.
#include "cli/metric_trials.h"

#include <algorithm>

#include "coordinator/objectives.h"

namespace regatta {
namespace {

// Empty: not all are there.
std::vector<double> values_of(const Metrics& metrics, std::span<const Objective> objectives) {
  std::vector<double> values;
  for (const Objective& objective : objectives) {
    if (const double* metric = find_metric(metrics, objective.metric)) {
      values.push_back(in_user_direction(objective, *metric));
    }
  }
  return values.size() == objectives.size() && all_finite(values) ? values : std::vector<double>{};
}

}  // namespace

std::vector<Trial> trials_measured_by(const Study& study, std::span<const Objective> objectives) {
  std::vector<Trial> trials(study.trials().begin(), study.trials().end());
  for (Trial& trial : trials) {
    trial.scores.clear();
    trial.values.clear();
    for (const Reported& report : study.records()[static_cast<std::size_t>(trial.number)].reports) {
      const std::vector<double> values = values_of(report.metrics, objectives);
      if (values.empty()) {
        continue;
      }
      trial.scores.push_back({.epoch = report.epoch, .values = values});
      if (trial.values.empty() || values.size() > 1 || values[0] < trial.values[0]) {
        trial.values = values;
      }
    }
  }
  return trials;
}

std::vector<std::string> reported_metrics(const Study& study) {
  std::vector<std::string> names;
  for (const TrialRecord& record : study.records()) {
    for (const Reported& report : record.reports) {
      for (const auto& [name, value] : report.metrics) {
        if (std::find(names.begin(), names.end(), name) == names.end()) {
          names.push_back(name);
        }
      }
    }
  }
  return names;
}

}  // namespace regatta

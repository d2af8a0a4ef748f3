// The study minimises; here the sign is turned back.
#include "cli/trial_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "coordinator/objectives.h"

namespace regatta {

std::optional<double> user_value(const Study& study, int trial) {
  const Metrics values = user_values(study, trial);
  return values.empty() ? std::nullopt : std::optional(values.front().second);
}

Metrics user_values(const Study& study, int trial) {
  const std::vector<double>& values = study.trials()[static_cast<std::size_t>(trial)].values;
  Metrics metrics;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Objective& objective = study.experiment().objectives[i];
    metrics.emplace_back(objective.metric, in_user_direction(objective, values[i]));
  }
  return metrics;
}

std::string format_value(double value) { return fmt::format("{:.5g}", value); }

std::string format_metrics(const Metrics& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, format_value(value));
  }
  return text;
}

Metrics best_metrics(const Study& study, int trial) {
  const TrialRecord& record = study.records()[static_cast<std::size_t>(trial)];
  for (const Reported& report : record.reports) {
    if (report.epoch == record.best_epoch) {
      return report.metrics;
    }
  }
  return record.reports.empty() ? Metrics{} : record.reports.back().metrics;
}

// Without test data the crew measures on the validation data, which the reports have told already.
Metrics test_metrics(const Study& study) {
  const auto is_of_test = [](const auto& metric) { return metric.first.starts_with("test_"); };
  return study.test() && std::ranges::any_of(study.test()->metrics, is_of_test) ? study.test()->metrics
                                                                                : Metrics{};
}

int trained_epochs(const Study& study, int trial) {
  const auto& reports = study.records()[static_cast<std::size_t>(trial)].reports;
  return reports.empty() ? 0 : reports.back().epoch;
}

std::string describe_point(const Study& study, int trial) {
  const Space& space = study.experiment().space;
  const Point& point = study.trials()[static_cast<std::size_t>(trial)].point;
  std::string text;
  for (std::size_t i = 0; i < space.size(); ++i) {
    if (const auto value = space.value(point, i)) {
      const double* number = std::get_if<double>(&*value);
      text += fmt::format("{}{}: {}", text.empty() ? "" : ", ", space.parameters()[i].name,
                          number != nullptr ? fmt::format("{:.4g}", *number) : to_string(*value));
    }
  }
  return "{" + text + "}";
}

std::vector<int> ranking(const Study& study) {
  std::vector<int> ranked;
  for (const Trial& trial : study.trials()) {
    if ((trial.state == TrialState::complete || trial.state == TrialState::stopped) &&
        !trial.values.empty()) {
      ranked.push_back(trial.number);
    }
  }
  const auto key = [&study](int number) {
    const Trial& trial = study.trials()[static_cast<std::size_t>(number)];
    return std::tuple(trial.state != TrialState::complete, trial.values.front(), number);
  };
  std::sort(ranked.begin(), ranked.end(), [&key](int a, int b) { return key(a) < key(b); });
  return ranked;
}

TrialCounts count_trials(const Study& study) {
  TrialCounts counts;
  for (const Trial& trial : study.trials()) {
    switch (trial.state) {
      case TrialState::waiting:
        ++counts.waiting;
        break;
      case TrialState::running:
        ++counts.running;
        break;
      case TrialState::paused:
        ++counts.paused;
        break;
      case TrialState::complete:
        ++counts.complete;
        break;
      case TrialState::stopped:
        ++counts.stopped;
        break;
      case TrialState::failed:
        ++counts.failed;
        break;
      case TrialState::invalid:
        ++counts.invalid;
        break;
    }
  }
  return counts;
}

std::string describe(const TrialCounts& counts) {
  std::string text;
  const auto add = [&text](int count, const char* state) {
    if (count > 0) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, state);
    }
  };
  add(counts.running, "running");
  add(counts.waiting, "waiting");
  add(counts.paused, "paused");
  add(counts.complete, "complete");
  add(counts.stopped, "stopped");
  add(counts.failed, "failed");
  add(counts.invalid, "invalid");
  return text.empty() ? "none yet" : text;
}

}  // namespace regatta

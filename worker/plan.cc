// Sections in, plans out. The same functions serve `regatta validate`, the start of a study, and every trial.
#include "worker/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/progress.h"
#include "base/text.h"
#include "experiment/section.h"

namespace regatta {
namespace {

// Either a program, or a model with its data.
Status check_sections(const Experiment& experiment) {
  const Node* command = experiment.section("command");
  if (command != nullptr) {
    for (const std::string_view key : {"model", "train", "data"}) {
      if (const Node* other = experiment.section(key)) {
        return mistake_at(other->place(),
                          fmt::format("`command` at {} runs a program of yours, which brings its own {}; "
                                      "leave one of the two out",
                                      command->place().str(), key));
      }
    }
    return {};
  }
  if (experiment.section("model") == nullptr) {
    return mistake_at(experiment.root.place(),
                      "expected `model:` (a network, with `data:`) or `command:` (a program of yours)");
  }
  if (experiment.section("data") == nullptr) {
    return mistake_at(experiment.section("model")->place(), "`model` needs `data:` to train on");
  }
  return {};
}

ModelInput input_of(const DataShape& shape) {
  return {.sample_shape = shape.sample_shape,
          .classification = shape.task == Task::classification,
          .outputs = shape.outputs,
          .positions = shape.positions,
          .tokens = shape.tokens};
}

std::vector<std::string> reported_metrics(const DataShape& shape) {
  std::vector<std::string> names;
  for (const char* prefix : {"train_", "val_"}) {
    if (prefix == std::string_view("val_") && shape.validation_count == 0) {
      continue;
    }
    for (const std::string& name : metric_names(prediction_of(shape))) {
      names.push_back(prefix + name);
    }
  }
  return names;
}

Status check_metric(const std::string& metric, const Place& place, const TrialPlan& plan) {
  const std::vector<std::string>& names = plan.metrics;
  if (std::ranges::find(names, metric) != names.end()) {
    return {};
  }
  if (metric.starts_with("val_") && plan.data->validation_count == 0) {
    return mistake_at(place,
                      fmt::format("'{}' is not reported: there is no validation data (`validation: 0`); "
                                  "expected {}",
                                  metric, one_of(names)));
  }
  std::string hint = did_you_mean(metric, names);
  if (hint.empty()) {
    hint = fmt::format("; expected {}", one_of(names));
  }
  return mistake_at(place, fmt::format("'{}' is no metric of this experiment{}", metric, hint));
}

// Where train.early_stopping.metric stands; the section when it is left to its default.
Place early_stopping_place(const Experiment& experiment) {
  const Node train = experiment.section_or_empty("train");
  const Node* rule = train.find("early_stopping");
  const Node* metric = rule != nullptr ? rule->find("metric") : nullptr;
  return metric != nullptr ? metric->place() : rule != nullptr ? rule->place() : train.place();
}

Status check_metrics(const Experiment& experiment, const TrialPlan& plan) {
  for (const Objective& objective : experiment.objectives) {
    RETURN_IF_ERROR(check_metric(objective.metric, objective.place, plan));
  }
  if (const auto& rule = plan.model->train.early_stopping) {
    RETURN_IF_ERROR(check_metric(rule->metric, early_stopping_place(experiment), plan));
  }
  return {};
}

// One representative point; `data_yaml` tells which data `plan.data` describes.
Status plan_point(const Experiment& experiment, const Point& point, int max_epochs, std::string& data_yaml,
                  std::optional<DataShape>& data, TrialPlan& plan) {
  if (experiment.section("command") != nullptr) {
    ASSIGN_OR_RETURN(plan.command, plan_command(experiment, point));
    return {};
  }
  ASSIGN_OR_RETURN(const Node node, section_at(experiment, "data", point));
  if (const std::string yaml = to_yaml(without_augmentation(node)); !data || yaml != data_yaml) {
    data.reset();
    ASSIGN_OR_RETURN(const DataSplits splits, load_data(node, experiment.seed));
    data = shape_of(splits);
    data_yaml = yaml;
  }
  ASSIGN_OR_RETURN(plan.augmentation, read_augmentation(node, data->sample_shape));
  ASSIGN_OR_RETURN(plan.model, plan_trial(experiment, *data, point, max_epochs));
  plan.data = data;
  plan.metrics = reported_metrics(*data);
  return {};
}

}  // namespace

Prediction prediction_of(const DataShape& shape) { return prediction_of(input_of(shape)); }

Result<Node> section_at(const Experiment& experiment, std::string_view key, const Point& point) {
  return substitute(experiment.section_or_empty(key), experiment.space, point);
}

Result<ModelConfig> plan_trial(const Experiment& experiment, const DataShape& data, const Point& point,
                               int max_epochs) {
  ASSIGN_OR_RETURN(const Node model, section_at(experiment, "model", point));
  ASSIGN_OR_RETURN(const Node train, section_at(experiment, "train", point));
  ModelInput input = input_of(data);
  input.max_epochs = max_epochs;
  return read_model(model, train, input);
}

Result<std::vector<std::string>> plan_command(const Experiment& experiment, const Point& point) {
  const Node section = experiment.section_or_empty("command");
  if (!section.is_sequence() || section.items().empty()) {
    return mistake_at(section.place(), fmt::format("expected a list like [python3, train.py, --lr, $lr] for "
                                                   "'command', not {}",
                                                   section.describe()));
  }
  ASSIGN_OR_RETURN(const Node node, substitute(section, experiment.space, point));
  std::vector<std::string> command;
  for (const Node& item : node.items()) {
    ASSIGN_OR_RETURN(std::string text, read_text(item));
    command.push_back(std::move(text));
  }
  if (command.empty() || command.front().empty()) {
    return mistake_at(section.place(), "the program's name, first in 'command', is empty");
  }
  return command;
}

Result<TrialPlan> check_experiment(const Experiment& experiment, int max_epochs) {
  RETURN_IF_ERROR(check_sections(experiment));
  std::optional<TrialPlan> first;
  std::optional<Error> mistake;
  std::optional<DataShape> data;
  std::string data_yaml;
  for (const Point& point : representative_points(experiment.space)) {
    note_progress();
    TrialPlan plan;
    const Status planned = plan_point(experiment, point, max_epochs, data_yaml, data, plan);
    if (planned.ok() && !first) {
      first = std::move(plan);
    } else if (!planned.ok() && !mistake) {
      mistake = planned.error();
    }
  }
  if (!first) {
    CHECK(mistake.has_value(), "a space has at least one representative point");
    return *mistake;
  }
  if (first->model) {
    RETURN_IF_ERROR(check_metrics(experiment, *first));
  }
  return *std::move(first);
}

}  // namespace regatta

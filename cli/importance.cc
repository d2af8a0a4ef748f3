// regatta importance RUN: which parameters matter, and where their good values lie.
#include "search/importance.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/metric_trials.h"
#include "cli/output.h"
#include "cli/study_folder.h"
#include "cli/table.h"
#include "cli/trial_json.h"
#include "cli/trial_text.h"

namespace regatta {
namespace {

constexpr int kBarCells = 24;

struct ImportanceOptions {
  std::string run;
  std::string metric;     // empty: the first objective
  std::string direction;  // of a metric that is no objective
  bool json = false;
};

Result<Objective> objective_of(const Study& study, const ImportanceOptions& options) {
  const std::vector<Objective>& objectives = study.experiment().objectives;
  if (options.metric.empty() && options.direction.empty()) {
    return objectives.front();
  }
  Objective asked{.metric = options.metric.empty() ? objectives.front().metric : options.metric};
  const auto known = std::find_if(objectives.begin(), objectives.end(),
                                  [&](const Objective& each) { return each.metric == asked.metric; });
  const std::vector<std::string> metrics = reported_metrics(study);
  if (known == objectives.end() && std::find(metrics.begin(), metrics.end(), asked.metric) == metrics.end()) {
    return user_mistake(fmt::format("--metric {}: no trial has reported it{}; reported are {}", asked.metric,
                                    did_you_mean(asked.metric, metrics), one_of(metrics)));
  }
  if (known == objectives.end() && options.direction.empty()) {
    return user_mistake(
        fmt::format("'{}' is no objective of the study: say whether high or low is good, by "
                    "--direction maximize or --direction minimize",
                    asked.metric));
  }
  if (!options.direction.empty()) {
    asked.direction = options.direction == "maximize" ? Direction::maximize : Direction::minimize;
  } else {
    asked.direction = known->direction;
  }
  return asked;
}

Value value_at(const Space& space, std::size_t parameter, double number) {
  Point point(space.size());
  point[parameter] = number;
  return *space.value(point, parameter);
}

std::string short_value(const Value& value) {
  const double* number = std::get_if<double>(&value);
  return number != nullptr ? fmt::format("{:.4g}", *number) : to_string(value);
}

bool is_choice(const Space& space, const ParameterImportance& each) {
  return std::holds_alternative<ChoiceDomain>(space.parameters()[each.parameter].domain);
}

std::string good_values(const Space& space, const ParameterImportance& each) {
  if (each.best == 0) {
    return "-";
  }
  const auto text = [&](double number) { return short_value(value_at(space, each.parameter, number)); };
  if (is_choice(space, each)) {
    return fmt::format("{} ({} of {})", text(static_cast<double>(each.choice)), each.choice_count, each.best);
  }
  return each.low == each.high ? text(each.low) : fmt::format("{} to {}", text(each.low), text(each.high));
}

void print_table(const Space& space, const Objective& objective, const Importance& importance) {
  print_out("{}, {}: the best {} of {} trials compared with all\n", objective.metric,
            objective.direction == Direction::maximize ? "maximized" : "minimized", importance.best,
            importance.trials);
  Table table({{"parameter"}, {"importance", Table::Align::right}, {""}, {"good values"}, {"where"}});
  const double largest = importance.parameters.empty() ? 0 : importance.parameters.front().importance;
  for (const ParameterImportance& each : importance.parameters) {
    const auto cells = largest > 0 ? std::lround(kBarCells * each.importance / largest) : 0;
    std::string bar;
    for (long cell = 0; cell < cells; ++cell) {
      bar += "█";
    }
    const bool is_conditional = each.trials < importance.trials;
    table.add({space.parameters()[each.parameter].name, fmt::format("{:.1f} %", 100 * each.importance), bar,
               good_values(space, each),
               is_conditional ? fmt::format("in {} of {} trials", each.trials, importance.trials) : ""});
  }
  print_out("{}", table.str("  "));
  if (largest == 0) {
    print_out("No parameter stands out from chance.\n");
  }
}

void print_json(const Space& space, const Objective& objective, const Importance& importance) {
  nlohmann::ordered_json parameters = nlohmann::ordered_json::array();
  for (const ParameterImportance& each : importance.parameters) {
    nlohmann::ordered_json good;
    if (each.best > 0 && is_choice(space, each)) {
      good = {{"choice", value_json(value_at(space, each.parameter, static_cast<double>(each.choice)))},
              {"count", each.choice_count}};
    } else if (each.best > 0) {
      good = {{"low", value_json(value_at(space, each.parameter, each.low))},
              {"high", value_json(value_at(space, each.parameter, each.high))}};
    }
    parameters.push_back({{"name", space.parameters()[each.parameter].name},
                          {"importance", each.importance},
                          {"trials", each.trials},
                          {"best", each.best},
                          {"good", std::move(good)}});
  }
  const nlohmann::ordered_json json = {
      {"metric", objective.metric},
      {"direction", objective.direction == Direction::maximize ? "maximize" : "minimize"},
      {"trials", importance.trials},
      {"best", importance.best},
      {"parameters", std::move(parameters)}};
  print_out("{}\n", json.dump(2));
}

Result<int> show_importance(const ImportanceOptions& options) {
  ASSIGN_OR_RETURN(const StudyView view, view_study(options.run));
  ASSIGN_OR_RETURN(const Objective objective, objective_of(*view.study, options));
  const Space& space = view.study->experiment().space;
  const auto importance =
      parameter_importance(space, trials_measured_by(*view.study, std::vector<Objective>{objective}));
  if (!importance.ok()) {
    return failure(fmt::format("{}: {}", view.folder.string(), importance.error().message));
  }
  options.json ? print_json(space, objective, *importance) : print_table(space, objective, *importance);
  return kExitDone;
}

}  // namespace

void add_importance_command(CLI::App& program, Action& action) {
  CLI::App* command =
      program.add_subcommand("importance", "which parameters matter for good results, and their good values");
  const auto options = std::make_shared<ImportanceOptions>();
  command->add_option("RUN", options->run, "the study's folder, or its name under runs/")->required();
  command->add_option("--metric", options->metric,
                      "by any metric that was reported; else the first objective");
  command->add_option("--direction", options->direction, "what is good of the metric: maximize or minimize")
      ->check(CLI::IsMember({"maximize", "minimize"}));
  command->add_flag("--json", options->json, "as one JSON object");
  command->callback([options, &action] { action = [options] { return show_importance(*options); }; });
}

}  // namespace regatta

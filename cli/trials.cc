// regatta trials RUN: every trial, for people or for programs.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/study_folder.h"
#include "cli/table.h"
#include "cli/trial_json.h"
#include "cli/trial_text.h"

namespace regatta {
namespace {

struct TrialsOptions {
  std::string run;
  bool csv = false;
  bool json = false;
};

// RFC 4180.
std::string csv_cell(const nlohmann::ordered_json& value) {
  if (value.is_null()) {
    return "";
  }
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char letter : text) {
    quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  }
  return quoted + "\"";
}

void print_csv(const Study& study) {
  constexpr std::array<const char*, 7> kBefore{"trial",  "state",   "value",  "best_epoch",
                                               "epochs", "bracket", "seconds"};
  std::string header = fmt::format("{}", fmt::join(kBefore, ","));
  for (const Parameter& parameter : study.experiment().space.parameters()) {
    header += "," + csv_cell(parameter.name);
  }
  const auto& objectives = study.experiment().objectives;
  for (std::size_t i = 1; i < objectives.size(); ++i) {
    header += "," + csv_cell(objectives[i].metric);
  }
  print_out("{},message\n", header);
  for (const Trial& trial : study.trials()) {
    const nlohmann::ordered_json json = trial_json(study, trial.number);
    std::string line;
    for (const char* column : kBefore) {
      line += csv_cell(json[column]) + ",";
    }
    for (const Parameter& parameter : study.experiment().space.parameters()) {
      line += csv_cell(json["parameters"].value(parameter.name, nlohmann::ordered_json())) + ",";
    }
    for (std::size_t i = 1; i < objectives.size(); ++i) {
      line += csv_cell(json["values"].value(objectives[i].metric, nlohmann::ordered_json())) + ",";
    }
    print_out("{}{}\n", line, csv_cell(json["message"]));
  }
}

void print_json(const Study& study) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Trial& trial : study.trials()) {
    list.push_back(trial_json(study, trial.number));
  }
  print_out("{}\n", list.dump(1));
}

void print_table(const Study& study) {
  std::vector<Table::Column> columns = {{"trial", Table::Align::right}, {"state"}};
  for (const Objective& objective : study.experiment().objectives) {
    columns.push_back({objective.metric, Table::Align::right});
  }
  columns.insert(columns.end(), {{"epochs", Table::Align::right}, {"parameters"}});
  const std::size_t objectives = study.experiment().objectives.size();
  Table table(std::move(columns));
  for (const Trial& trial : study.trials()) {
    std::vector<std::string> cells = {std::to_string(trial.number), to_string(trial.state)};
    for (const auto& [metric, value] : user_values(study, trial.number)) {
      cells.push_back(format_value(value));
    }
    cells.resize(2 + objectives, "-");
    cells.insert(cells.end(),
                 {std::to_string(trained_epochs(study, trial.number)), describe_point(study, trial.number)});
    table.add(std::move(cells));
  }
  print_out("{}", table.str());
}

Result<int> trials(const TrialsOptions& options) {
  ASSIGN_OR_RETURN(const StudyView view, view_study(options.run));
  if (options.csv) {
    print_csv(*view.study);
  } else if (options.json) {
    print_json(*view.study);
  } else {
    print_table(*view.study);
  }
  return kExitDone;
}

}  // namespace

void add_trials_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("trials", "every trial of a study");
  const auto options = std::make_shared<TrialsOptions>();
  command->add_option("RUN", options->run, "the study's folder, or its name under runs/")->required();
  CLI::Option* csv = command->add_flag("--csv", options->csv, "as CSV with a header");
  command->add_flag("--json", options->json, "as a JSON list")->excludes(csv);
  command->callback([options, &action] { action = [options] { return trials(*options); }; });
}

}  // namespace regatta

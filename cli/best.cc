// regatta best RUN: the best trial, its metrics and its files; of several objectives the Pareto front.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/study_folder.h"
#include "cli/summary.h"
#include "cli/trial_json.h"
#include "cli/trial_text.h"
#include "search/pareto.h"

namespace regatta {
namespace {

struct BestOptions {
  std::string run;
  bool json = false;
};

// Where the model is: the exported one of this trial, else its best checkpoint.
struct Files {
  std::string model;
  std::string checkpoint;
};
Files files_of(const StudyView& view, int trial) {
  const auto path = [&view](const std::string& relative) {
    return relative.empty() ? std::string() : (view.folder / relative).string();
  };
  if (is_table_study(view.plan->experiment)) {
    return {};  // nothing was trained
  }
  const auto& test = view.study->test();
  return {.model = test && test->trial == trial ? path(test->model) : "",
          .checkpoint = path(view.study->records()[static_cast<std::size_t>(trial)].best_checkpoint)};
}

void print_text(const StudyView& view, int trial) {
  const Study& study = *view.study;
  const Files files = files_of(view, trial);
  print_out("trial       {}\n", trial);
  print_out("parameters  {}\n", describe_point(study, trial));
  print_out("metrics     {}\n", format_metrics(best_metrics(study, trial)));
  if (const Metrics metrics = test_metrics(study); !metrics.empty() && study.test()->trial == trial) {
    print_out("test        {}\n", format_metrics(metrics));
  }
  if (!files.model.empty()) {
    print_out("model       {}\n", files.model);
  }
  if (!files.checkpoint.empty()) {
    print_out("checkpoint  {}\n", files.checkpoint);
  }
}

void print_json(const StudyView& view, int trial) {
  nlohmann::ordered_json json = trial_json(*view.study, trial);
  const Files files = files_of(view, trial);
  json["metrics"] = metrics_json(best_metrics(*view.study, trial));
  const auto& test = view.study->test();
  const Metrics tested = test_metrics(*view.study);
  const bool is_tested = !tested.empty() && test->trial == trial;
  json["test"] = is_tested ? metrics_json(tested) : nlohmann::ordered_json();
  json["model"] = files.model.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(files.model);
  json["checkpoint"] =
      files.checkpoint.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(files.checkpoint);
  print_out("{}\n", json.dump(2));
}

void print_front(const StudyView& view, bool as_json) {
  const Study& study = *view.study;
  if (!as_json) {
    print_out("{}", pareto_front_table(study, study.trials().size()));
    return;
  }
  nlohmann::ordered_json front = nlohmann::ordered_json::array();
  for (const int trial : pareto_front(study.trials())) {
    front.push_back(trial_json(study, trial));
  }
  print_out("{}\n", nlohmann::ordered_json{{"front", front}}.dump(2));
}

Result<int> best(const BestOptions& options) {
  ASSIGN_OR_RETURN(const StudyView view, view_study(options.run));
  const auto trial = view.study->best_trial();
  if (!trial) {
    return failure(fmt::format("{}: no trial has ended with a value yet", view.folder.string()));
  }
  if (view.study->experiment().objectives.size() > 1) {
    print_front(view, options.json);
    return kExitDone;
  }
  options.json ? print_json(view, *trial) : print_text(view, *trial);
  return kExitDone;
}

}  // namespace

void add_best_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "best", "the best trial: parameters, metrics, files; of several objectives the Pareto front");
  const auto options = std::make_shared<BestOptions>();
  command->add_option("RUN", options->run, "the study's folder, or its name under runs/")->required();
  command->add_flag("--json", options->json, "as one JSON object");
  command->callback([options, &action] { action = [options] { return best(*options); }; });
}

}  // namespace regatta

// Printed at the end of run and resume.
#include "cli/summary.h"

#include <fmt/format.h>

#include "base/text.h"
#include "cli/study_folder.h"
#include "cli/table.h"
#include "cli/trial_text.h"
#include "search/pareto.h"

namespace regatta {
namespace {

constexpr std::size_t kBestTrials = 5;
constexpr std::size_t kFrontTrials = 20;

std::string failed_trials(const Study& study) {
  const TrialCounts counts = count_trials(study);
  if (counts.failed + counts.invalid == 0) {
    return {};
  }
  for (const Trial& trial : study.trials()) {
    const std::string& message = study.records()[static_cast<std::size_t>(trial.number)].message;
    if ((trial.state == TrialState::failed || trial.state == TrialState::invalid) && !message.empty()) {
      return fmt::format("{} failed or invalid, the first of them: trial {}: {}\n",
                         counts.failed + counts.invalid, trial.number, message);
    }
  }
  return fmt::format("{} failed or invalid\n", counts.failed + counts.invalid);
}

}  // namespace

std::string describe_end(const StudyEnded& end) {
  const std::string because = end.message.empty() ? "" : ": " + end.message;
  switch (end.reason) {
    case StudyEnded::Reason::finished:
      return "finished" + because;
    case StudyEnded::Reason::target_reached:
      return "reached its target" + because;
    case StudyEnded::Reason::time_over:
      return "ended by its time limit" + because;
    case StudyEnded::Reason::failed:
      return "failed" + because;
    case StudyEnded::Reason::interrupted:
      return "interrupted" + (end.message == StopRequested().why ? "" : because);  // Ctrl-C needs no word
  }
  return "ended" + because;
}

std::string best_trials_table(const Study& study, std::size_t count) {
  const std::vector<int> ranked = ranking(study);
  if (ranked.empty()) {
    return {};
  }
  const std::string& metric = study.experiment().objectives.front().metric;
  Table table({{"trial", Table::Align::right},
               {metric, Table::Align::right},
               {"epochs", Table::Align::right},
               {"state"},
               {"parameters"}});
  for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i) {
    const int number = ranked[i];
    table.add({std::to_string(number), format_value(user_value(study, number).value_or(0)),
               std::to_string(trained_epochs(study, number)),
               to_string(study.trials()[static_cast<std::size_t>(number)].state),
               describe_point(study, number)});
  }
  return table.str("  ");
}

std::string pareto_front_table(const Study& study, std::size_t count) {
  const std::vector<int> front = pareto_front(study.trials());
  if (front.empty()) {
    return {};
  }
  std::vector<Table::Column> columns = {{"trial", Table::Align::right}};
  for (const Objective& objective : study.experiment().objectives) {
    columns.push_back({objective.metric, Table::Align::right});
  }
  columns.insert(columns.end(), {{"epochs", Table::Align::right}, {"parameters"}});
  Table table(std::move(columns));
  for (std::size_t i = 0; i < std::min(count, front.size()); ++i) {
    std::vector<std::string> cells = {std::to_string(front[i])};
    for (const auto& [metric, value] : user_values(study, front[i])) {
      cells.push_back(format_value(value));
    }
    cells.insert(cells.end(),
                 {std::to_string(trained_epochs(study, front[i])), describe_point(study, front[i])});
    table.add(std::move(cells));
  }
  const std::string more = front.size() > count
                               ? fmt::format("  and {} more; regatta best lists all\n", front.size() - count)
                               : "";
  return table.str("  ") + more;
}

std::string summarize(const Study& study, const std::filesystem::path& folder, double elapsed_seconds) {
  const StudyEnded* ended = study.ended() ? &*study.ended() : nullptr;
  const std::string end = ended != nullptr ? describe_end({.reason = ended->reason}) : "not ended yet";
  std::string text =
      fmt::format("\n{}: {} in {}; {} trials: {}\n", study.experiment().name, end,
                  format_duration(elapsed_seconds), study.trials().size(), describe(count_trials(study)));
  if (ended != nullptr && !ended->message.empty() && ended->reason != StudyEnded::Reason::interrupted) {
    text += ended->message + "\n";
  }
  text += failed_trials(study);
  if (study.experiment().objectives.size() > 1) {
    text += "\nthe Pareto front\n" + pareto_front_table(study, kFrontTrials);
  } else if (const std::string table = best_trials_table(study, kBestTrials); !table.empty()) {
    text += "\nthe best trials\n" + table;
  }
  if (const Metrics metrics = test_metrics(study); !metrics.empty()) {
    text += fmt::format("\ntrial {} on the test data: {}\n", study.test()->trial, format_metrics(metrics));
  }
  text += "\n";
  if (study.test() && !study.test()->model.empty()) {
    text += fmt::format("model   {}\n", (folder / study.test()->model).string());
  }
  text +=
      fmt::format("study   {}\nlogs    {}\n", (folder / "study.db").string(), logs_folder(folder).string());
  return text;
}

}  // namespace regatta

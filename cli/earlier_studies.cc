// Finds each study, rebuilds it from its facts and carries its trials over.
#include "cli/earlier_studies.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/text.h"
#include "cli/metric_trials.h"
#include "cli/study_folder.h"
#include "search/transfer.h"

namespace regatta {
namespace {

constexpr const char* kDatabase = "study.db";

std::optional<std::filesystem::path> folder_of(std::filesystem::path path) {
  std::error_code ignored;
  if (path.filename() == kDatabase) {
    path = path.parent_path();
  }
  return std::filesystem::is_regular_file(path / kDatabase, ignored) ? std::optional(path) : std::nullopt;
}

Result<std::filesystem::path> find_earlier(const Experiment& experiment, const LearnFrom& name) {
  const auto beside = std::filesystem::path(experiment.root.place().file).parent_path() / name.study;
  for (const std::filesystem::path& candidate :
       {beside, std::filesystem::path(name.study), "runs" / std::filesystem::path(name.study)}) {
    if (auto folder = folder_of(candidate)) {
      return *std::move(folder);
    }
  }
  return mistake_at(name.place, fmt::format("no study is at '{}': expected a folder with a {} in it, as seen "
                                            "from the experiment file or from here",
                                            name.study, kDatabase));
}

// Metrics that are there, in the same direction.
Status check_objectives(const Experiment& experiment, const Study& other, const LearnFrom& name) {
  const std::vector<std::string> metrics = reported_metrics(other);
  for (const Objective& ours : experiment.objectives) {
    for (const Objective& theirs : other.experiment().objectives) {
      if (theirs.metric == ours.metric && theirs.direction != ours.direction) {
        return mistake_at(
            name.place,
            fmt::format("{} {} '{}', this study {} it: nothing can be learned from it", name.study,
                        theirs.direction == Direction::maximize ? "maximizes" : "minimizes", ours.metric,
                        ours.direction == Direction::maximize ? "maximizes" : "minimizes"));
      }
    }
    if (!metrics.empty() && std::find(metrics.begin(), metrics.end(), ours.metric) == metrics.end()) {
      return mistake_at(
          name.place, fmt::format("the trials of {} report {}, not '{}'{}", name.study,
                                  fmt::join(metrics, ", "), ours.metric, did_you_mean(ours.metric, metrics)));
    }
  }
  return {};
}

Result<EarlierStudy> read_earlier_study(const Experiment& experiment, const LearnFrom& name) {
  ASSIGN_OR_RETURN(const std::filesystem::path folder, find_earlier(experiment, name));
  const auto cannot = [&](const std::string& why) {
    return mistake_at(name.place, fmt::format("cannot learn from {}: {}", name.study, why));
  };
  auto stored = Store::read(folder);
  if (!stored.ok()) {
    return cannot(stored.error().message);
  }
  const auto view =
      rebuild_study(folder, std::move(stored).value(), earlier_overrides(folder), {.check_training = false});
  if (!view.ok()) {
    return cannot(view.error().message);
  }
  const Study& other = *view->study;
  RETURN_IF_ERROR(check_objectives(experiment, other, name));
  EarlierStudy study = transfer(other.experiment().space, trials_measured_by(other, experiment.objectives),
                                experiment.space, experiment.seed);
  const bool has_value = std::any_of(study.trials.begin(), study.trials.end(),
                                     [](const Trial& trial) { return !trial.values.empty(); });
  if (!has_value && study.outside > 0) {
    return cannot(fmt::format("none of its trials lies in this space ({} lie outside)", study.outside));
  }
  if (!has_value) {
    return cannot("none of its trials has ended with a value yet");
  }
  return study;
}

}  // namespace

Result<std::vector<EarlierStudy>> read_earlier_studies(const Experiment& experiment,
                                                       const std::vector<LearnFrom>& names) {
  std::vector<EarlierStudy> studies;
  for (const LearnFrom& name : names) {
    ASSIGN_OR_RETURN(EarlierStudy study, read_earlier_study(experiment, name));
    studies.push_back(std::move(study));
  }
  return studies;
}

}  // namespace regatta

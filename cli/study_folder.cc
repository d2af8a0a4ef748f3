// runs/<name>/ with study.db, logs/, crews/, checkpoints and best/.
#include "cli/study_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/progress.h"
#include "base/text.h"
#include "coordinator/learned.h"

namespace regatta {
namespace {

constexpr const char* kRunsFolder = "runs";
constexpr const char* kDatabase = "study.db";

// One override a line.
std::filesystem::path overrides_file(const std::filesystem::path& folder) { return folder / "overrides"; }

bool holds_study(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / kDatabase, ignored);
}

std::vector<std::string> known_studies() {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(kRunsFolder, ignored)) {
    if (holds_study(entry.path())) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

std::filesystem::path logs_folder(const std::filesystem::path& study) { return study / "logs"; }

// The workers write there: see crew_command.
std::filesystem::path traces_folder(const std::filesystem::path& study) { return study / "traces"; }

std::filesystem::path crew_log(const std::filesystem::path& study, const std::string& crew) {
  return logs_folder(study) / (crew + ".log");
}

Result<std::filesystem::path> find_study(const std::string& run) {
  for (const std::filesystem::path& folder :
       {std::filesystem::path(run), kRunsFolder / std::filesystem::path(run)}) {
    if (holds_study(folder)) {
      return folder;
    }
  }
  const std::vector<std::string> names = known_studies();
  const std::string hint =
      names.empty() ? "; there are no studies under runs/ here" : did_you_mean(run, names);
  return user_mistake(fmt::format("{}: no study is there (a folder with a {}){}", run, kDatabase, hint));
}

std::string resume_command(const std::filesystem::path& folder) {
  const auto arguments = read_file("/proc/self/cmdline");  // separated by zeros
  const char* program = arguments.ok() && !arguments->empty() ? arguments->c_str() : "regatta";
  return fmt::format("{} resume {}", program, folder.string());
}

Result<std::filesystem::path> make_study_folder(const std::filesystem::path& runs, const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return user_mistake(fmt::format(
        "'{}' cannot be the name of a study: it becomes a folder; give another with --name", name));
  }
  RETURN_IF_ERROR(make_directories(runs));
  const std::filesystem::path folder = runs / name;
  std::error_code error;
  if (!std::filesystem::create_directory(folder, error)) {
    if (error) {
      return failure(fmt::format("cannot create the folder {}: {}", folder.string(), error.message()));
    }
    return user_mistake(fmt::format("{0} exists already: go on with it by '{1}', or choose another --name",
                                    folder.string(), resume_command(folder)));
  }
  RETURN_IF_ERROR(make_directories(logs_folder(folder)));
  return folder;
}

Result<StudyView> rebuild_study(const std::filesystem::path& folder, StoredStudy stored,
                                const std::vector<std::string>& overrides, PlanOptions options) {
  ASSIGN_OR_RETURN(options.learned, decode_learned(stored.learned));
  ASSIGN_OR_RETURN(Experiment experiment,
                   parse_experiment(stored.experiment_yaml, stored.experiment_file, overrides));
  StudyView view;
  view.folder = folder;
  ASSIGN_OR_RETURN(view.plan, plan_study(std::move(experiment), options));
  view.study = make_study(*view.plan);
  view.events = std::move(stored.events);
  for (const TimedEvent& event : view.events) {
    view.study->replay(event);
    note_progress();
  }
  return view;
}

std::vector<std::string> earlier_overrides(const std::filesystem::path& folder) {
  const auto text = read_file(overrides_file(folder));
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (text.ok() && begin < text->size()) {
    const std::size_t end = std::min(text->find('\n', begin), text->size());
    lines.push_back(text->substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

Status keep_overrides(const std::filesystem::path& folder, const std::vector<std::string>& overrides) {
  return write_file_atomically(overrides_file(folder), fmt::format("{}\n", fmt::join(overrides, "\n")));
}

Result<StudyView> view_study(const std::string& run) {
  ASSIGN_OR_RETURN(const std::filesystem::path folder, find_study(run));
  ASSIGN_OR_RETURN(StoredStudy stored, Store::read(folder));
  return rebuild_study(folder, std::move(stored), earlier_overrides(folder), {.check_training = false});
}

}  // namespace regatta

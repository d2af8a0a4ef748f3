// A study's folder on disk, and a look at the study in it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/study_plan.h"
#include "coordinator/store.h"

namespace regatta {

std::filesystem::path logs_folder(const std::filesystem::path& study);
std::filesystem::path traces_folder(const std::filesystem::path& study);
std::filesystem::path crew_log(const std::filesystem::path& study, const std::string& crew);

// `run` is a study's folder, or its name under runs/.
Result<std::filesystem::path> find_study(const std::string& run);

// What the user types to go on with a study, with the program named as it was called:
// "build/release/regatta resume runs/iris".
std::string resume_command(const std::filesystem::path& folder);

// Makes runs/<name>; refuses one that exists.
Result<std::filesystem::path> make_study_folder(const std::filesystem::path& runs, const std::string& name);

// A stored study rebuilt by replaying its events.
struct StudyView {
  std::filesystem::path folder;
  std::unique_ptr<StudyPlan> plan;
  std::unique_ptr<Study> study;
  std::vector<TimedEvent> events;
};
Result<StudyView> rebuild_study(const std::filesystem::path& folder, StoredStudy stored,
                                const std::vector<std::string>& overrides, PlanOptions options);

// Overrides given to `resume`: they hold for everything that comes later.
std::vector<std::string> earlier_overrides(const std::filesystem::path& folder);
Status keep_overrides(const std::filesystem::path& folder, const std::vector<std::string>& overrides);

// For looking only: takes no lock, so the study may be running.
Result<StudyView> view_study(const std::string& run);

}  // namespace regatta

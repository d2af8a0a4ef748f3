// Compares real paths, links followed.
#include "coordinator/checkpoint_files.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace regatta {

namespace fs = std::filesystem;

namespace {

constexpr const char* kProgramFolder = "program";
constexpr const char* kProgramEnding = ".program";

void delete_program_folder(const fs::path& trial) {
  std::error_code error;
  fs::remove_all(trial / kProgramFolder, error);
  if (error) {
    spdlog::warn("cannot delete the folder {}: {}", (trial / kProgramFolder).string(), error.message());
  }
}

// A folder that cannot be listed may have some.
bool has_program_states(const fs::path& trial) {
  std::error_code error;
  for (auto file = fs::directory_iterator(trial, error); !error && file != fs::directory_iterator();
       file.increment(error)) {
    if (file->path().extension() == kProgramEnding) {
      return true;
    }
  }
  return static_cast<bool>(error);
}

}  // namespace

std::optional<fs::path> checkpoint_file(const fs::path& folder, const std::string& checkpoint) {
  const fs::path relative = fs::path(checkpoint).lexically_normal();
  if (relative.empty() || relative.is_absolute() || *relative.begin() == ".." ||
      !relative.has_parent_path() || !relative.has_filename()) {
    return std::nullopt;
  }
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) {
    return std::nullopt;
  }
  const fs::path parent = fs::weakly_canonical(root / relative.parent_path(), error);
  const auto [end_of_root, inside] = std::mismatch(root.begin(), root.end(), parent.begin(), parent.end());
  if (error || end_of_root != root.end() || inside == parent.end()) {
    return std::nullopt;
  }
  return parent / relative.filename();
}

void delete_checkpoint(const fs::path& folder, const std::string& checkpoint) {
  const auto file = checkpoint_file(folder, checkpoint);
  if (!file) {
    spdlog::warn("not deleted: the checkpoint '{}' is not in a subfolder of the study", checkpoint);
    return;
  }
  std::error_code error;
  fs::remove(*file, error);
  if (error) {
    spdlog::warn("cannot delete the checkpoint {}: {}", file->string(), error.message());
  }
  if (file->extension() == kProgramEnding && !has_program_states(file->parent_path())) {
    delete_program_folder(file->parent_path());
  }
}

void sweep_checkpoints(const fs::path& folder, const std::vector<std::string>& needed,
                       ProgramFolders programs) {
  std::set<fs::path> kept;
  for (const std::string& checkpoint : needed) {
    kept.insert((folder / checkpoint).lexically_normal());
  }
  std::error_code error;
  for (const auto& trial : fs::directory_iterator(folder / "checkpoints", error)) {
    if (trial.is_symlink(error)) {
      continue;  // not ours to clean
    }
    for (const auto& file : fs::directory_iterator(trial.path(), error)) {
      if (file.is_regular_file(error) && !kept.contains(file.path().lexically_normal())) {
        fs::remove(file.path(), error);
      }
    }
    if (programs == ProgramFolders::go_where_not_needed && !has_program_states(trial.path())) {
      delete_program_folder(trial.path());
    }
    if (fs::is_empty(trial.path(), error)) {
      fs::remove(trial.path(), error);
    }
  }
}

}  // namespace regatta

// Compares real paths, links followed.
#include "coordinator/checkpoint_files.h"

#include <algorithm>
#include <set>

#include "base/log.h"

namespace regatta {

namespace fs = std::filesystem;

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
}

void sweep_checkpoints(const fs::path& folder, const std::vector<std::string>& needed) {
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
    if (fs::is_empty(trial.path(), error)) {
      fs::remove(trial.path(), error);
    }
  }
}

}  // namespace regatta

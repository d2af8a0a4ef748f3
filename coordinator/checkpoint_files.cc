// Compares real paths, links followed.
#include "coordinator/checkpoint_files.h"

#include <algorithm>

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

}  // namespace regatta

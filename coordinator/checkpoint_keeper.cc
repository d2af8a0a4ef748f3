// The files of each trial, and those to be deleted.
#include "coordinator/checkpoint_keeper.h"

#include <algorithm>
#include <utility>

namespace regatta {
namespace {

bool contains(const std::vector<std::string>& files, const std::string& file) {
  return std::find(files.begin(), files.end(), file) != files.end();
}

}  // namespace

void CheckpointKeeper::add(int trial, const std::string& checkpoint) {
  if (checkpoint.empty()) {
    return;
  }
  auto& files = files_[trial];
  if (!contains(files, checkpoint)) {
    files.push_back(checkpoint);
    ++holders_[checkpoint];
  }
  // The same name may be written again, by another attempt, before the order to delete it has been sent.
  std::erase(obsolete_, checkpoint);
}

void CheckpointKeeper::keep_only(int trial, const std::vector<std::string>& needed) {
  const auto found = files_.find(trial);
  if (found == files_.end()) {
    return;
  }
  std::erase_if(found->second, [&](std::string& file) {
    if (contains(needed, file)) {
      return false;
    }
    const auto holders = holders_.find(file);
    if (--holders->second == 0) {
      holders_.erase(holders);
      obsolete_.push_back(file);
    }
    return true;
  });
  if (found->second.empty()) {
    files_.erase(found);
  }
}

std::vector<std::string> CheckpointKeeper::take_obsolete() { return std::exchange(obsolete_, {}); }

std::vector<std::string> CheckpointKeeper::all() const {
  std::vector<std::string> all;
  for (const auto& [file, holders] : holders_) {
    all.push_back(file);
  }
  return all;
}

}  // namespace regatta

// The lock file that stops a second coordinator of a study. It does not rely on the file system's locks,
// which NFS and Lustre may lack: the file holds who made it, and making a file that exists fails.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace regatta {

// Held from take() to release() or the object's end.
class StudyLock {
 public:
  // Takes over a lock whose process on this host is gone; refuses one that is held, or of another host.
  static Result<StudyLock> take(const std::filesystem::path& folder);
  StudyLock(StudyLock&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  StudyLock& operator=(StudyLock&&) = delete;
  ~StudyLock() { release(); }

  void release();

 private:
  explicit StudyLock(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // empty: not held
};

}  // namespace regatta

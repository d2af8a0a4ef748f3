// study.lock: one line "HOST PID START", where START is the process's start time in the kernel's ticks, so
// that another process with a recycled number is not taken for the owner.
#include "coordinator/study_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/host.h"

namespace regatta {
namespace {

struct Owner {
  std::string host;
  pid_t process = 0;
  std::optional<std::int64_t> start;  // nullopt: not known
};

Owner owner_in(const std::string& text) {
  Owner owner;
  std::istringstream fields(text);
  fields >> owner.host >> owner.process;
  if (std::int64_t start = 0; fields >> start) {
    owner.start = start;
  }
  return owner;
}

// False: the file exists already.
Result<bool> make_lock(const std::filesystem::path& path) {
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (file < 0 && errno == EEXIST) {
    return false;
  }
  if (file < 0) {
    return failure(fmt::format("cannot make {}: {}", path.string(), std::strerror(errno)));
  }
  const auto start = process_start(getpid());
  const std::string text =
      fmt::format("{} {} {}\n", host_name(), getpid(), start ? fmt::to_string(*start) : "");
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool flushed = fsync(file) == 0;
  close(file);
  if (!written || !flushed) {
    unlink(path.c_str());
    return failure(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  }
  return true;
}

Error held(const std::filesystem::path& path, const Owner& owner) {
  const std::string who = owner.process == 0
                              ? "by a coordinator that is just starting"
                              : fmt::format("by process {} on host {}", owner.process, owner.host);
  return user_mistake(fmt::format("the study is in use {}; if that process is gone, remove {} and try again",
                                  who, path.string()));
}

// Moves a dead owner's lock out of the way. Two processes may try at once: the name that it is moved to is
// this process's own, so that what was moved can be looked at, and put back if it was a newer one.
Status remove_stale(const std::filesystem::path& path, const std::string& stale) {
  const std::filesystem::path aside = fmt::format("{}.{}.{}", path.string(), host_name(), getpid());
  if (rename(path.c_str(), aside.c_str()) != 0) {
    return errno == ENOENT ? Status{} : Status(failure("cannot move " + path.string() + " aside"));
  }
  const auto moved = read_file(aside);
  if (moved.ok() && *moved != stale) {
    rename(aside.c_str(), path.c_str());
    return held(path, owner_in(*moved));
  }
  unlink(aside.c_str());
  return {};
}

}  // namespace

Result<StudyLock> StudyLock::take(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "study.lock";
  for (int attempt = 0; attempt < 2; ++attempt) {
    ASSIGN_OR_RETURN(const bool made, make_lock(path));
    if (made) {
      return StudyLock(path);
    }
    const auto text = read_file(path);
    if (!text.ok()) {
      continue;  // released meanwhile
    }
    const Owner owner = owner_in(*text);
    if (owner.host != host_name() || owner.process == 0 || may_run(owner.process, owner.start)) {
      return held(path, owner);
    }
    RETURN_IF_ERROR(remove_stale(path, *text));
  }
  return failure(fmt::format("several coordinators are taking {} at once; try again", path.string()));
}

void StudyLock::release() {
  if (!path_.empty()) {
    unlink(path_.c_str());
    path_.clear();
  }
}

}  // namespace regatta

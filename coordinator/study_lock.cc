// study.lock: one line "HOST PROCESS START PLACE RENEWALS". START is the process's start time in the kernel's
// ticks, so that another process with a recycled number is not taken for the owner, and PLACE what process
// numbers are valid in: the start of the host and the container.
#include "coordinator/study_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/host.h"
#include "base/seconds.h"
#include "base/text.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Microseconds kLook = seconds(1);  // between two looks at another host's lock
constexpr Microseconds kTellInterval = seconds(5);
constexpr int kAsideLooks = 5;  // a lock may be moved away for a moment by who wants to see what it was
constexpr Microseconds kAsideLook = milliseconds(50);

fs::path lock_path(const fs::path& folder) { return folder / "study.lock"; }

std::string this_place() {
  std::error_code none;
  const fs::path processes = fs::read_symlink("/proc/self/ns/pid", none);
  return fmt::format("{}/{}", boot_id(), none ? "" : processes.string());
}

std::string identity_of_this_process() {
  return fmt::format("{} {} {} {}", host_name(), getpid(), process_start(getpid()).value_or(0), this_place());
}

// Always as long: it is written over the last one.
std::string lock_text(const std::string& identity, std::int64_t renewals) {
  return fmt::format("{} {:012}\n", identity, renewals);
}

LockOwner owner_in(const std::string& text) {
  LockOwner owner{.text = text};
  std::string place;
  std::int64_t start = 0;
  std::istringstream fields(text);
  fields >> owner.host >> owner.process >> start >> place;
  owner.identity = text.substr(0, text.rfind(' '));
  const bool is_here = owner.host == host_name() && (place.empty() || place == this_place());
  if (is_here && owner.process > 0) {
    const bool runs = may_run(owner.process, start > 0 ? std::optional(start) : std::nullopt);
    owner.life = runs ? LockOwner::Life::alive : LockOwner::Life::dead;
  }
  return owner;
}

std::string describe(const LockOwner& owner) {
  return owner.host.empty() ? "a coordinator that is just starting"
                            : fmt::format("process {} on host {}", owner.process, owner.host);
}

// -1: the file exists already.
Result<int> make_lock(const fs::path& path, const std::string& text) {
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
  if (file < 0 && errno == EEXIST) {
    return -1;
  }
  if (file < 0) {
    return failure(fmt::format("cannot make {}: {}", path.string(), std::strerror(errno)));
  }
  const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || fsync(file) != 0) {
    const Error error = failure(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
    close(file);
    unlink(path.c_str());
    return error;
  }
  return file;
}

Error held(const fs::path& path, const LockOwner& owner) {
  const std::string remedy =
      owner.life == LockOwner::Life::alive
          ? fmt::format("end it by 'regatta stop {}'; if that process is gone, remove {} and try again",
                        path.parent_path().string(), path.string())
          : fmt::format("it lives, for it renews {}; end it by 'regatta stop {}'", path.string(),
                        path.parent_path().string());
  return user_mistake(fmt::format("the study is in use by {}: {}", describe(owner), remedy));
}

// Only where nobody has made a new lock meanwhile. File systems without hard links have to do with a rename.
void put_back(const fs::path& aside, const fs::path& path) {
  if (link(aside.c_str(), path.c_str()) != 0 && errno != EEXIST) {
    rename(aside.c_str(), path.c_str());
  }
  unlink(aside.c_str());
}

// Moves a lock out of the way. Several processes may try at once: the name that it is moved to is this
// process's own, so that what was moved can be looked at, and put back if it was another one.
Status take_away(const fs::path& path, const std::function<bool(const std::string&)>& is_meant) {
  const fs::path aside = fmt::format("{}.{}.{}", path.string(), host_name(), getpid());
  if (rename(path.c_str(), aside.c_str()) != 0) {
    return errno == ENOENT ? Status{} : Status(failure("cannot move " + path.string() + " aside"));
  }
  const auto moved = read_file(aside);
  if (moved.ok() && !is_meant(*moved)) {
    put_back(aside, path);
    return held(path, owner_in(*moved));
  }
  unlink(aside.c_str());
  return {};
}

// Until another host's owner has been silent for the patience, or its lock is gone; an error when it lives.
Status watch(const fs::path& path, const LockOwner& owner, const StudyLockOptions& options) {
  options.tell(fmt::format("the study is locked by {}; waiting up to {} to see whether it lives",
                           describe(owner), format_duration(in_seconds(options.patience))));
  for (Microseconds waited = kLook; waited <= options.patience; waited += kLook) {
    options.pause(kLook);
    const auto now = find_lock_owner(path.parent_path());
    if (!now) {
      return {};
    }
    if (now->text != owner.text) {
      return held(path, *now);
    }
    if (waited % kTellInterval == Microseconds(0) && waited < options.patience) {
      options.tell(fmt::format("no sign of {} yet; its lock is taken over in {}", describe(owner),
                               format_duration(in_seconds(options.patience - waited))));
    }
  }
  return {};
}

}  // namespace

std::optional<LockOwner> find_lock_owner(const fs::path& folder) {
  forget_names_in(folder);
  const auto text = read_file(lock_path(folder));
  return text.ok() ? std::optional(owner_in(*text)) : std::nullopt;
}

Result<StudyLock> StudyLock::take(const fs::path& folder, const StudyLockOptions& options) {
  const fs::path path = lock_path(folder);
  const std::string text = lock_text(identity_of_this_process(), 0);
  for (int attempt = 0; attempt < 3; ++attempt) {
    ASSIGN_OR_RETURN(const int file, make_lock(path, text));
    if (file >= 0) {
      return StudyLock(path, file, options.renewal);
    }
    const auto owner = find_lock_owner(folder);
    if (!owner) {
      continue;  // released meanwhile
    }
    if (owner->life == LockOwner::Life::alive) {
      return held(path, *owner);
    }
    if (owner->life == LockOwner::Life::elsewhere) {
      RETURN_IF_ERROR(watch(path, *owner, options));
    }
    RETURN_IF_ERROR(take_away(path, [&](const std::string& moved) { return moved == owner->text; }));
  }
  return failure(fmt::format("several coordinators are taking {} at once; try again", path.string()));
}

StudyLock::StudyLock(fs::path path, int file, Microseconds renewal)
    : path_(std::move(path)), file_(file), renewal_(renewal), identity_(identity_of_this_process()) {}

StudyLock::StudyLock(StudyLock&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      file_(std::exchange(other.file_, -1)),
      renewal_(other.renewal_),
      renewed_(other.renewed_),
      renewals_(other.renewals_),
      identity_(other.identity_),
      lost_(other.lost_) {}

Status StudyLock::check() {
  auto owner = find_lock_owner(path_.parent_path());
  for (int look = 1; !owner && look < kAsideLooks; ++look) {
    pause_for(kAsideLook);
    owner = find_lock_owner(path_.parent_path());
  }
  if (owner && owner->identity == identity_) {
    return {};
  }
  lost_ = true;
  return failure(fmt::format(
      "this coordinator was silent for so long that it passed for dead: its study {}; it ends without "
      "writing anything more",
      owner ? fmt::format("belongs to {} now", describe(*owner)) : "has lost its lock " + path_.string()));
}

Status StudyLock::renew(Microseconds now) {
  if (renewed_ && now - *renewed_ < renewal_) {
    return {};
  }
  RETURN_IF_ERROR(check());
  const std::string text = lock_text(identity_, ++renewals_);
  const bool written = pwrite(file_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  if (!written || fsync(file_) != 0) {
    lost_ = errno == ESTALE;
    return failure(fmt::format("cannot renew {}: {}", path_.string(), std::strerror(errno)));
  }
  renewed_ = now;
  return {};
}

void StudyLock::release() {
  if (path_.empty()) {
    return;
  }
  close(file_);
  const fs::path path = std::exchange(path_, {});
  const auto owner = find_lock_owner(path.parent_path());
  if (owner && owner->identity == identity_) {
    (void)take_away(path, [&](const std::string& moved) { return owner_in(moved).identity == identity_; });
  }
}

}  // namespace regatta

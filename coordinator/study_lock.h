// The lock file that stops a second coordinator of a study, on this host or another. It does not rely on the
// file system's locks, which NFS and Lustre may lack, nor on clocks that agree: the file holds who made it
// and a number that its owner counts up every few seconds, and making a file that exists fails.
//
// A lock of this host is decided by whether its process runs. One of another host is watched: while the
// number changes its owner lives; when it has stood still for so long that several renewals are missing, the
// owner is taken for dead and its lock moved away, which only one of several that try can do.
//
// An owner that only stood still (SIGSTOP, a server that hung, a suspended machine) finds out: it looks at
// the lock before every write and renews it through the file that it has held open, which can never change a
// successor's. What remains is a process that is stopped between that look and the end of the same
// transaction, a few milliseconds, and goes on later than the patience. Where SQLite's locks work it then
// still holds the database, and its successor is refused; where they do not, nothing could stop it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "base/shared_file.h"

namespace regatta {

// Who holds a study's lock.
struct LockOwner {
  std::string host;  // empty: just being written
  long process = 0;
  std::string identity;  // no other process has had the same, on any host
  std::string text;      // the whole file; changes with every renewal
  enum class Life { alive, dead, elsewhere } life = Life::elsewhere;  // as far as this host can tell
};

// nullopt: nobody does.
std::optional<LockOwner> find_lock_owner(const std::filesystem::path& folder);

inline constexpr Microseconds kLockRenewal = std::chrono::seconds(5);
inline constexpr Microseconds kLockPatience = std::chrono::seconds(30);

struct StudyLockOptions {
  Microseconds renewal = kLockRenewal;
  // For another host's owner to renew its lock; the sum of this process's pauses, so that it does not pass
  // while this process is stopped too.
  Microseconds patience = kLockPatience;
  // What is being waited for, in words.
  std::function<void(const std::string&)> tell = [](const std::string&) {};
  std::function<void(Microseconds)> pause = pause_for;
};

// Held from take() to release() or the object's end. Not thread-safe; the thread that works with the study
// renews, so that the lock of one that hangs grows old.
class StudyLock {
 public:
  // Takes over a dead owner's lock, after the patience where that was on another host; refuses one that is
  // held.
  static Result<StudyLock> take(const std::filesystem::path& folder, const StudyLockOptions& options = {});
  StudyLock(StudyLock&& other) noexcept;
  StudyLock& operator=(StudyLock&&) = delete;
  ~StudyLock() { release(); }

  // An error once another coordinator has taken the lock over: nothing may be written any more.
  Status check();
  // Checks, and counts up, when that is due. `now`: of a monotonic clock.
  Status renew(Microseconds now);
  bool is_lost() const { return lost_; }
  const std::string& identity() const { return identity_; }

  void release();

 private:
  StudyLock(std::filesystem::path path, int file, Microseconds renewal);
  std::filesystem::path path_;  // empty: not held
  int file_ = -1;
  Microseconds renewal_;
  std::optional<Microseconds> renewed_;  // monotonic
  std::int64_t renewals_ = 0;
  std::string identity_;
  bool lost_ = false;
};

}  // namespace regatta

// A file a claim, "CPUS\nSTUDY", under flock(2) for as long as it holds. So whoever claims need not be asked
// about, and may be in a container with processes of its own: a file whose lock can be had is left over.
#include "devices/core_claims.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "base/clock.h"
#include "base/host.h"
#include "base/shared_file.h"
#include "devices/core_assignment.h"

namespace regatta {
namespace {

namespace fs = std::filesystem;

constexpr Microseconds kTurnLimit = std::chrono::seconds(5);
constexpr Microseconds kLook = std::chrono::milliseconds(10);
constexpr const char* kTurn = "turn";
constexpr int kSafely = O_NOFOLLOW | O_CLOEXEC;

class OpenFile {
 public:
  explicit OpenFile(int number) : number_(number) {}
  OpenFile(OpenFile&& other) noexcept : number_(other.release()) {}
  OpenFile& operator=(OpenFile&&) = delete;
  ~OpenFile() {
    if (number_ >= 0) {
      ::close(number_);  // and with it the lock
    }
  }
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

Error trouble(const char* what, const fs::path& path) {
  return failure(fmt::format("cannot {} {}: {}", what, path.string(), std::strerror(errno)));
}

fs::path default_folder() {
  std::error_code none;
  const auto folder = fs::temp_directory_path(none);
  return (none ? fs::path("/tmp") : folder) / fmt::format("regatta-claims-{}", ::geteuid());
}

// The folder may be seen by several hosts: a claim is for those who run on the same kernel.
std::string prefix_of_kernel() {
  const std::string boot = boot_id();
  return (boot.empty() ? host_name() : boot) + ".";
}

// Others may write beside it: what is not this user's own is not believed.
Result<OpenFile> open_folder(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return trouble("make", path);
  }
  OpenFile folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | kSafely));
  if (folder.number() < 0) {
    return trouble("open", path);
  }
  struct stat status {};
  if (::fstat(folder.number(), &status) != 0 || status.st_uid != ::geteuid() ||
      (status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return failure(fmt::format("{} is not this user's own folder", path.string()));
  }
  return folder;
}

// Not so once somebody who tidies up has removed it, or its folder.
bool stands_at(const fs::path& path, const OpenFile& file) {
  struct stat there {};
  struct stat open {};
  return ::lstat(path.c_str(), &there) == 0 && ::fstat(file.number(), &open) == 0 && S_ISREG(open.st_mode) &&
         open.st_nlink == 1 && there.st_ino == open.st_ino && there.st_dev == open.st_dev;
}

struct Turn {
  OpenFile folder;
  OpenFile lock;
};

Result<Turn> take_turn(const fs::path& path) {
  const SystemClock clock;
  for (const Deadline deadline(clock, kTurnLimit); !deadline.passed(); pause_for(kLook)) {
    ASSIGN_OR_RETURN(OpenFile folder, open_folder(path));
    OpenFile lock(::openat(folder.number(), kTurn, O_RDWR | O_CREAT | kSafely, 0600));
    if (lock.number() < 0 && errno != ENOENT) {
      return trouble("open", path / kTurn);
    }
    if (lock.number() >= 0 && ::flock(lock.number(), LOCK_EX | LOCK_NB) == 0) {
      if (stands_at(path / kTurn, lock)) {
        return Turn{std::move(folder), std::move(lock)};
      }
    } else if (errno != EWOULDBLOCK && errno != EINTR && errno != ENOENT) {
      return trouble("lock", path / kTurn);
    }
  }
  return failure(fmt::format("another process has {} and does not let go of it", (path / kTurn).string()));
}

std::string read_all(const OpenFile& file) {
  std::string text;
  std::array<char, 4096> part{};
  for (ssize_t size = 0;
       (size = ::pread(file.number(), part.data(), part.size(), static_cast<off_t>(text.size()))) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(size));
  }
  return text;
}

// What others have; those who have ended are forgotten.
Result<CpuSet> read_claims(const Turn& turn, const fs::path& path, const std::string& study) {
  const std::string prefix = prefix_of_kernel();
  CpuSet taken;
  std::error_code broken;
  for (fs::directory_iterator entry(path, broken); !broken && entry != fs::directory_iterator();
       entry.increment(broken)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(prefix)) {
      continue;
    }
    const OpenFile file(::openat(turn.folder.number(), name.c_str(), O_RDWR | kSafely));
    if (file.number() < 0) {
      return trouble("open", entry->path());
    }
    if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0) {
      ::unlinkat(turn.folder.number(), name.c_str(), 0);
      continue;
    }
    if (errno != EWOULDBLOCK) {
      return trouble("lock", entry->path());
    }
    const std::string text = read_all(file);
    const std::size_t line = text.find('\n');
    const auto cpus = parse_cpus(text.substr(0, line));
    const bool is_of_study = !study.empty() && line != std::string::npos && text.substr(line + 1) == study;
    if (cpus.ok() && !is_of_study) {
      taken = united(taken, *cpus);
    }
  }
  if (broken) {
    return failure(fmt::format("cannot list {}: {}", path.string(), broken.message()));
  }
  return taken;
}

Result<CpuClaim> write_claim(const Turn& turn, const fs::path& path, CpuSet cpus, const std::string& study) {
  const std::string prefix = prefix_of_kernel();
  std::string name;
  int number = -1;
  for (int i = 0; number < 0; ++i) {
    name = fmt::format("{}{}", prefix, i);
    number = ::openat(turn.folder.number(), name.c_str(), O_RDWR | O_CREAT | O_EXCL | kSafely, 0600);
    if (number < 0 && errno != EEXIST) {
      return trouble("make", path / name);
    }
  }
  CpuClaim claim(std::move(cpus), number);
  const std::string text = format_cpus(claim.cpus()) + "\n" + study;
  if (::flock(number, LOCK_EX | LOCK_NB) != 0 ||
      ::pwrite(number, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    return trouble("write", path / name);
  }
  return claim;
}

}  // namespace

Result<CpuClaim> claim_cpus(const std::function<CpuSet(const CpuSet&)>& choose,
                            const CpuClaimOptions& options) {
  const fs::path path = options.folder.empty() ? default_folder() : options.folder;
  ASSIGN_OR_RETURN(const Turn turn, take_turn(path));
  ASSIGN_OR_RETURN(const CpuSet taken, read_claims(turn, path, options.study));
  CpuSet chosen = choose(taken);
  if (chosen.empty()) {
    return CpuClaim({}, -1);
  }
  return write_claim(turn, path, std::move(chosen), options.study);
}

CpuSet free_share(std::span<const Core> cores, const CpuSet& taken, int ranks, std::optional<int> threads) {
  std::vector<Core> free;
  std::ranges::copy_if(cores, std::back_inserter(free),
                       [&](const Core& core) { return intersected(core.cpus, taken).empty(); });
  if (!threads) {
    CpuSet all;
    std::ranges::for_each(free, [&](const Core& core) { all = united(all, core.cpus); });
    return static_cast<int>(all.size()) < ranks ? CpuSet() : all;
  }
  const int wanted = ranks * *threads;
  const int shares = std::max(1, static_cast<int>(free.size()) / wanted);
  const auto dealt = deal_cores(free, {.crews = shares, .ranks = 1, .threads = wanted});
  return dealt.empty() ? CpuSet() : dealt.front().front();
}

}  // namespace regatta

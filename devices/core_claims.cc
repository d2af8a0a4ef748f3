// One line a process, "PROCESS START CPUS", under flock(2): a host's own file, so that its lock works.
#include "devices/core_claims.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <sstream>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/host.h"
#include "base/shared_file.h"
#include "devices/core_assignment.h"

namespace regatta {
namespace {

constexpr Microseconds kTurnLimit = std::chrono::seconds(5);
constexpr Microseconds kLook = std::chrono::milliseconds(10);

class OpenFile {
 public:
  explicit OpenFile(int number) : number_(number) {}
  OpenFile(OpenFile&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  OpenFile& operator=(OpenFile&&) = delete;
  ~OpenFile() {
    if (number_ >= 0) {
      ::close(number_);  // and with it the lock
    }
  }
  int number() const { return number_; }

 private:
  int number_;
};

std::filesystem::path default_file() {
  std::error_code none;
  const auto folder = std::filesystem::temp_directory_path(none);
  return (none ? std::filesystem::path("/tmp") : folder) / fmt::format("regatta-cpus-{}", ::geteuid());
}

// Others may write to the folder for temporary files: what is not this user's own is not believed.
Result<OpenFile> open_locked(const std::filesystem::path& path) {
  OpenFile file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.number() < 0) {
    return failure(fmt::format("cannot open {}: {}", path.string(), std::strerror(errno)));
  }
  struct stat status {};
  if (::fstat(file.number(), &status) != 0 || status.st_uid != ::geteuid() || !S_ISREG(status.st_mode)) {
    return failure(fmt::format("{} is not this user's own file", path.string()));
  }
  const SystemClock clock;
  const Deadline deadline(clock, kTurnLimit);
  while (::flock(file.number(), LOCK_EX | LOCK_NB) != 0) {
    if (deadline.passed() || (errno != EWOULDBLOCK && errno != EINTR)) {
      return failure(fmt::format("cannot lock {}: {}", path.string(), std::strerror(errno)));
    }
    pause_for(kLook);
  }
  return file;
}

struct Claims {
  CpuSet taken;
  std::string lines;
};

// Of other processes that run; lines that cannot be read were never finished.
Claims read_claims(const std::string& text, long process) {
  Claims claims;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    long owner = 0;
    std::int64_t start = 0;
    std::string list;
    fields >> owner >> start >> list;
    const auto cpus = parse_cpus(list);
    if (cpus.ok() && owner > 0 && owner != process && may_run(owner, start)) {
      claims.taken = united(claims.taken, *cpus);
      claims.lines += line + "\n";
    }
  }
  return claims;
}

}  // namespace

Result<CpuSet> claim_cpus(const std::function<CpuSet(const CpuSet&)>& choose,
                          const CpuClaimOptions& options) {
  const std::filesystem::path path = options.file.empty() ? default_file() : options.file;
  ASSIGN_OR_RETURN(const OpenFile file, open_locked(path));
  ASSIGN_OR_RETURN(const std::string text, read_file(path));
  Claims claims = read_claims(text, options.process);
  CpuSet chosen = choose(claims.taken);
  const auto start = process_start(options.process);
  if (!chosen.empty() && start) {
    claims.lines += fmt::format("{} {} {}\n", options.process, *start, format_cpus(chosen));
  }
  const auto size = static_cast<ssize_t>(claims.lines.size());
  if (::ftruncate(file.number(), 0) != 0 ||
      ::pwrite(file.number(), claims.lines.data(), claims.lines.size(), 0) != size) {
    return failure(fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
  }
  return chosen;
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

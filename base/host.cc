// Linux: /proc/<pid>/stat, proc(5).
#include "base/host.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/cpus.h"
#include "base/file.h"

namespace regatta {
namespace {

// /sys/fs/cgroup/cpu.max has "QUOTA PERIOD" or "max PERIOD" (cgroup v2).
std::optional<int> container_cores() {
  std::ifstream stream("/sys/fs/cgroup/cpu.max");
  double quota = 0;
  double period = 0;
  if (!(stream >> quota >> period) || period <= 0) {
    return std::nullopt;
  }
  return static_cast<int>(std::ceil(quota / period));
}

// Of this job or step.
std::optional<int> slurm_cores() {
  const char* text = std::getenv("SLURM_CPUS_ON_NODE");
  const int cores = text == nullptr ? 0 : std::atoi(text);
  return cores > 0 ? std::optional(cores) : std::nullopt;
}

struct ProcessStat {
  std::string state;
  pid_t session = 0;
  std::int64_t start = 0;
};

std::optional<ProcessStat> stat_of(long process_id) {
  const auto text = read_file(fmt::format("/proc/{}/stat", process_id));
  // The second field is the program's name in brackets and may hold anything.
  const std::size_t name_end = text.ok() ? text->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) {
    return std::nullopt;
  }
  std::istringstream fields(text->substr(name_end + 1));
  ProcessStat stat;
  std::string skipped;
  fields >> stat.state >> skipped >> skipped >> stat.session;
  for (int field = 7; field < 22; ++field) {
    fields >> skipped;
  }
  fields >> stat.start;
  return fields ? std::optional(stat) : std::nullopt;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "localhost";
}

std::string boot_id() {
  const auto id = read_file("/proc/sys/kernel/random/boot_id");
  return id.ok() ? id->substr(0, id->find('\n')) : std::string();
}

bool process_exists(long process_id) {
  return process_id > 0 && (::kill(static_cast<pid_t>(process_id), 0) == 0 || errno == EPERM);
}

std::optional<std::int64_t> process_start(long process_id) {
  const auto stat = stat_of(process_id);
  return stat && stat->state != "Z" ? std::optional(stat->start) : std::nullopt;
}

bool may_run(long process_id, std::optional<std::int64_t> start) {
  if (!process_exists(process_id)) {
    return false;
  }
  const auto stat = stat_of(process_id);
  return !stat || (stat->state != "Z" && (!start || stat->start == *start));
}

std::optional<pid_t> process_session(long process_id) {
  const auto stat = stat_of(process_id);
  return stat ? std::optional(stat->session) : std::nullopt;
}

std::optional<int> cpu_limit() {
  const auto container = container_cores();
  const auto slurm = slurm_cores();
  return container && slurm ? std::min(*container, *slurm) : container ? container : slurm;
}

int usable_cores() {
  const int cores = static_cast<int>(allowed_cpus().size());
  return std::max(1, std::min(cores, cpu_limit().value_or(cores)));
}

}  // namespace regatta

// Linux: /proc/<pid>/stat, proc(5).
#include "cli/host.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <sstream>

#include "base/file.h"

namespace regatta {

std::string host_name() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string invoked_as() {
  const auto arguments = read_file("/proc/self/cmdline");  // separated by zeros
  return arguments.ok() && !arguments->empty() ? arguments->c_str() : "regatta";
}

bool process_exists(long process_id) {
  return process_id > 0 && (::kill(static_cast<pid_t>(process_id), 0) == 0 || errno == EPERM);
}

std::optional<std::int64_t> process_start(long process_id) {
  const auto stat = read_file(fmt::format("/proc/{}/stat", process_id));
  // The second field is the program's name in brackets and may hold anything.
  const std::size_t name_end = stat.ok() ? stat->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) {
    return std::nullopt;
  }
  std::istringstream fields(stat->substr(name_end + 1));
  std::string state;
  std::string field;
  fields >> state;
  for (int i = 4; i < 22 && fields; ++i) {
    fields >> field;
  }
  std::int64_t start = 0;
  if (state == "Z" || !(fields >> start)) {
    return std::nullopt;
  }
  return start;
}

std::string boot_id() {
  const auto id = read_file("/proc/sys/kernel/random/boot_id");
  return id.ok() ? id->substr(0, id->find('\n')) : std::string();
}

}  // namespace regatta

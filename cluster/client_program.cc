// The output comes through a pipe, read as it comes; standard error goes to a file.
#include "cluster/client_program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/file.h"
#include "base/process.h"
#include "base/progress.h"

namespace regatta {
namespace {

constexpr int kPollMs = 100;

// Until the program has closed its end or the limit has passed.
std::string read_all(int descriptor, const Deadline& deadline) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (!deadline.passed()) {
    note_progress();
    pollfd waiting{.fd = descriptor, .events = POLLIN, .revents = 0};
    if (::poll(&waiting, 1, kPollMs) <= 0) {
      continue;
    }
    const ssize_t size = ::read(descriptor, buffer.data(), buffer.size());
    if (size <= 0) {
      break;
    }
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text;
}

std::string trimmed(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n\t");
  return end == std::string::npos ? "" : text.substr(0, end + 1);
}

}  // namespace

Result<ClientOutput> run_client(const std::vector<std::string>& command, Microseconds limit) {
  ASSIGN_OR_RETURN(const TemporaryDirectory folder, TemporaryDirectory::make());
  const std::filesystem::path errors = folder.path() / "errors";
  ASSIGN_OR_RETURN(Process process,
                   Process::start({.command = command, .output = errors, .pipe_stdout = true}));
  const SystemClock clock;
  const Deadline deadline(clock, limit);
  ClientOutput result;
  result.output = read_all(process.stdout_descriptor(), deadline);
  const auto ended = process.wait_for(deadline.remaining());
  if (!ended) {
    process.kill();
    return timed_out(fmt::format("`{}` has not answered within {} s", fmt::join(command, " "),
                                 std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
  }
  if (ended->signal != 0) {
    return failure(fmt::format("`{}` was {}", fmt::join(command, " "), ended->describe()));
  }
  result.code = ended->code;
  if (const auto text = read_file(errors); text.ok()) {
    result.errors = *text;
  }
  return result;
}

Result<std::string> ask_client(const std::vector<std::string>& command, Microseconds limit) {
  ASSIGN_OR_RETURN(const ClientOutput done, run_client(command, limit));
  if (done.code != 0) {
    return failure(fmt::format("`{}` {}: {}", fmt::join(command, " "),
                               ExitStatus{.code = done.code}.describe(),
                               trimmed(done.errors.empty() ? done.output : done.errors)));
  }
  return done.output;
}

}  // namespace regatta

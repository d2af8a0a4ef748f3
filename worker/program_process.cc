// The output is read without blocking, through poll().
#include "worker/program_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>

#include "base/file.h"
#include "base/log.h"

namespace regatta {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;  // longer lines are cut into several
constexpr std::size_t kMaxLines = 1000;  // waiting to be handled; then the program waits on its pipe
constexpr Microseconds kTermination = std::chrono::seconds(5);
constexpr std::uintmax_t kShownBytes = 2000;
constexpr int kShownLines = 5;

// A program may end while it is being written to; that must not end the crew.
void ignore_broken_pipes() { ::signal(SIGPIPE, SIG_IGN); }

}  // namespace

Result<ProgramProcess> ProgramProcess::start(const ProgramStart& start) {
  ignore_broken_pipes();
  RETURN_IF_ERROR(make_directories(start.log.parent_path()));
  const Log log = open_log(start.log);
  const Log output_log = open_log(start.output_log);
  // With the removed variables the program would take itself for a rank of the crew's own MPI job.
  ASSIGN_OR_RETURN(Process process,
                   Process::start({.command = start.command,
                                   .variables = start.variables,
                                   .removed_prefixes = {"OMPI_", "ORTE_", "OPAL_", "PMIX_", "PMI_", "PRTE_"},
                                   .directory = start.directory,
                                   .output = start.log,
                                   .pipe_stdin = true,
                                   .pipe_stdout = !start.output_log.empty()}));
  return ProgramProcess(std::move(process), log, output_log);
}

ProgramProcess::ProgramProcess(Process process, Log log, Log output_log)
    : process_(std::move(process)),
      log_(std::move(log)),
      output_log_(std::move(output_log)),
      output_ended_(output_log_.path.empty()) {
  if (!output_ended_) {
    const int descriptor = process_.stdout_descriptor();
    ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  }
}

ProgramProcess::Log ProgramProcess::open_log(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  return {path, error ? 0 : size};
}

std::optional<std::string> ProgramProcess::next_line(Microseconds wait) {
  if (lines_.empty()) {
    read_available(wait);
  }
  if (lines_.empty()) {
    return std::nullopt;
  }
  std::optional<std::string> line(std::move(lines_.front()));
  lines_.pop_front();
  return line;
}

bool ProgramProcess::read_available(Microseconds wait) {
  if (output_ended_ || lines_.size() >= kMaxLines) {
    return false;
  }
  pollfd waiting{.fd = process_.stdout_descriptor(), .events = POLLIN, .revents = 0};
  if (!last_bytes_ && ::poll(&waiting, 1, static_cast<int>(duration_cast<milliseconds>(wait).count())) <= 0) {
    return false;
  }
  std::array<char, 65536> chunk;
  const std::size_t wanted = std::min(chunk.size(), last_bytes_.value_or(chunk.size()));
  const ssize_t count = ::read(waiting.fd, chunk.data(), wanted);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
    return false;
  }
  const auto bytes = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  if (last_bytes_) {
    *last_bytes_ -= bytes;
  }
  output_ended_ = bytes == 0 || last_bytes_ == 0U;
  buffer_.append(chunk.data(), bytes);
  if (output_ended_ && !buffer_.empty()) {
    buffer_ += '\n';
  }
  std::size_t begin = 0;
  for (std::size_t end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n', begin)) {
    lines_.push_back(buffer_.substr(begin, end - begin));
    begin = end + 1;
  }
  buffer_.erase(0, begin);
  if (buffer_.size() > kMaxLineBytes) {
    lines_.push_back(std::exchange(buffer_, {}));
  }
  return true;
}

std::size_t ProgramProcess::bytes_in_pipe() const {
  int bytes = 0;
  const bool known = !output_ended_ && ::ioctl(process_.stdout_descriptor(), FIONREAD, &bytes) == 0;
  return known ? static_cast<std::size_t>(bytes) : 0;
}

void ProgramProcess::keep_output(const std::string& line) {
  std::ofstream(output_log_.path, std::ios::app) << line + "\n";
}

void ProgramProcess::answer(const std::string& line) {
  if (const Status sent = process_.send_line(line); !sent.ok()) {
    spdlog::debug("{}", sent.error().message);
  }
}

std::optional<ExitStatus> ProgramProcess::ended() {
  const auto status = process_.poll();
  if (status && !last_bytes_) {
    last_bytes_ = bytes_in_pipe();
  }
  while (status && lines_.empty() && read_available(Microseconds(0))) {
  }
  return lines_.empty() ? status : std::nullopt;
}

void ProgramProcess::finish(Microseconds patience) {
  process_.close_stdin();
  const SystemClock clock;
  const Deadline deadline(clock, patience);
  // Its last output is read, so that it does not wait on a full pipe.
  while (!process_.poll() && !deadline.passed()) {
    if (const auto line = next_line(milliseconds(0))) {
      keep_output(*line);
    } else {
      (void)process_.wait_for(std::min<Microseconds>(milliseconds(20), deadline.remaining()));
    }
  }
  for (const int number : {SIGTERM, SIGKILL}) {
    if (!process_.poll()) {
      process_.signal(number);
      (void)process_.wait_for(kTermination);
    }
  }
}

std::string ProgramProcess::last_output() const {
  const std::string lines = last_lines(log_);
  return lines.empty() ? last_lines(output_log_) : lines;
}

std::string ProgramProcess::last_lines(const Log& log) {
  std::ifstream stream(log.path, std::ios::binary | std::ios::ate);
  if (log.path.empty() || !stream) {
    return {};
  }
  const auto size = static_cast<std::uintmax_t>(stream.tellg());
  const std::uintmax_t shown = std::min(size - std::min(size, log.begin), kShownBytes);
  std::string text(shown, '\0');
  stream.seekg(static_cast<std::streamoff>(size - shown));
  stream.read(text.data(), static_cast<std::streamsize>(shown));
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  std::size_t begin = text.size();
  for (int lines = 0; lines < kShownLines && begin != std::string::npos && begin > 0; ++lines) {
    begin = text.rfind('\n', begin - 1);
  }
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace regatta

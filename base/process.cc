// posix_spawn with a process group. Boost.Process 1.74 can neither append to a file nor leave a child alive.
#include "base/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <cstring>
#include <string_view>
#include <thread>
#include <utility>

#include "base/host.h"
extern char**
    environ;  // NOLINT(readability-redundant-declaration): POSIX leaves the declaration to the program

namespace regatta {
namespace {

constexpr Microseconds kPollInterval{2000};

bool begins_with_any(std::string_view text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [text](const std::string& prefix) { return text.starts_with(prefix); });
}

// The parent's environment less the removed variables, with the given ones laid over it.
std::vector<std::string> merged_environment(const ProcessOptions& options) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string name(text.substr(0, text.find('=')));
    if (!options.variables.contains(name) && !begins_with_any(name, options.removed_prefixes)) {
      merged.emplace_back(text);
    }
  }
  for (const auto& [name, value] : options.variables) {
    merged.push_back(fmt::format("{}={}", name, value));
  }
  return merged;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

void kill_session(pid_t session) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t id = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (bad == std::errc() && end == name.data() + name.size() && process_session(id) == session) {
      ::kill(id, SIGKILL);
    }
  }
}

// Both ends of a pipe; closed when not taken.
struct Pipe {
  std::array<int, 2> ends{-1, -1};
  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  int take(int end) { return std::exchange(ends[static_cast<std::size_t>(end)], -1); }
  ~Pipe() {
    for (const int end : ends) {
      if (end >= 0) {
        ::close(end);
      }
    }
  }
};

class SpawnActions {
 public:
  explicit SpawnActions(bool own_session) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setflags(&attributes_, (own_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP) |
                                               POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes_, 0);
    sigset_t all;
    sigfillset(&all);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes_, &none);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

std::string ExitStatus::describe() const {
  if (signal != 0) {
    return fmt::format("killed by signal {} ({})", signal, ::strsignal(signal));
  }
  return fmt::format("exited with code {}", code);
}

Result<Process> Process::start(const ProcessOptions& options) {
  CHECK(!options.command.empty());
  Pipe to_child;
  Pipe from_child;
  if ((options.pipe_stdin && !to_child.open()) || (options.pipe_stdout && !from_child.open())) {
    return failure(fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  }
  SpawnActions spawn(options.own_session);
  posix_spawn_file_actions_t* actions = &spawn.actions_;
  if (options.pipe_stdin) {
    posix_spawn_file_actions_adddup2(actions, to_child.ends[0], STDIN_FILENO);
  } else {
    posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  if (!options.output.empty()) {
    posix_spawn_file_actions_addopen(actions, STDERR_FILENO, options.output.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0644);
    posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDOUT_FILENO);
  }
  if (options.pipe_stdout) {
    posix_spawn_file_actions_adddup2(actions, from_child.ends[1], STDOUT_FILENO);
  }
  if (!options.directory.empty()) {
    posix_spawn_file_actions_addchdir_np(actions, options.directory.c_str());
  }
  std::vector<std::string> arguments = options.command;
  std::vector<std::string> environment = merged_environment(options);
  Process process;
  const int error = ::posix_spawnp(&process.id_, arguments[0].c_str(), actions, &spawn.attributes_,
                                   pointers_to(arguments).data(), pointers_to(environment).data());
  if (error != 0) {
    process.id_ = -1;
    return failure(fmt::format("cannot start '{}': {}", options.command[0], std::strerror(error)));
  }
  process.stdin_ = to_child.take(1);
  if (process.stdin_ >= 0) {  // this end only: the child's own still waits for lines
    ::fcntl(process.stdin_, F_SETFL, ::fcntl(process.stdin_, F_GETFL) | O_NONBLOCK);
  }
  process.stdout_ = from_child.take(0);
  process.own_session_ = options.own_session;
  return process;
}

Process::Process(Process&& other) noexcept
    : id_(std::exchange(other.id_, -1)),
      stdin_(std::exchange(other.stdin_, -1)),
      stdout_(std::exchange(other.stdout_, -1)),
      own_session_(other.own_session_),
      status_(other.status_) {}

Process::~Process() {
  close_stdin();
  if (stdout_ >= 0) {
    ::close(stdout_);
  }
  if (id_ > 0 && !status_) {
    kill();
    int ignored = 0;
    ::waitpid(id_, &ignored, 0);
  }
}

std::optional<ExitStatus> Process::poll() {
  if (!status_ && id_ > 0) {
    // Looked at before it is reaped: until then its number, which is also the group's, is not reused.
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(id_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        ended.si_pid != id_) {
      return status_;
    }
    kill();
    int raw = 0;
    if (::waitpid(id_, &raw, WNOHANG) == id_) {
      status_ = WIFSIGNALED(raw) ? ExitStatus{0, WTERMSIG(raw)} : ExitStatus{WEXITSTATUS(raw), 0};
    }
  }
  return status_;
}

std::optional<ExitStatus> Process::wait_for(Microseconds limit) {
  const SystemClock clock;
  const Deadline deadline(clock, limit);
  while (!poll() && !deadline.passed()) {
    std::this_thread::sleep_for(std::min(kPollInterval, deadline.remaining()));
  }
  return status_;
}

void Process::signal(int number) {
  if (id_ > 0 && !status_) {
    ::kill(-id_, number);
  }
}

void Process::kill() {
  if (id_ > 0 && !status_) {
    ::kill(-id_, SIGKILL);
    if (own_session_) {
      kill_session(id_);
    }
  }
}

Status Process::send_line(const std::string& line) {
  const std::string text = line + "\n";
  CHECK(text.size() <= PIPE_BUF, "a longer line could be written in part");
  ssize_t written = -1;
  do {
    written = ::write(stdin_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0 && errno == EAGAIN) {
    return failure(fmt::format("process {} does not read its standard input", id_));
  }
  if (written < 0) {
    return failure(fmt::format("cannot write to process {}: {}", id_, std::strerror(errno)));
  }
  return {};
}

void Process::close_stdin() {
  if (stdin_ >= 0) {
    ::close(std::exchange(stdin_, -1));
  }
}

Result<std::filesystem::path> this_program() {
  std::error_code error;
  auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) {
    return failure("cannot find the path of this program: " + error.message());
  }
  return path;
}

}  // namespace regatta

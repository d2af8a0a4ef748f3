// A child process in its own process group, so that its whole tree can be signalled.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

struct ProcessOptions {
  std::vector<std::string> command;              // command[0] is looked up in PATH
  std::map<std::string, std::string> variables;  // added to this process's environment
  std::vector<std::string> removed_prefixes;  // variables of this process whose names begin so are left out
  std::filesystem::path directory;            // working directory; empty: the parent's
  std::filesystem::path output;               // stdout and stderr are appended here; empty: the parent's own
  bool pipe_stdin = false;                    // write with send_line
  bool pipe_stdout = false;                   // read from stdout_descriptor(); stderr still goes to `output`
  // A session of its own: the terminal's end does not reach it, and once the child has ended, all that it
  // left behind is killed, process groups within the session included (ranks of mpirun, a trial's program,
  // which must therefore not have a session of its own).
  bool own_session = false;
};

// How a process ended: an exit code, or the signal that killed it.
struct ExitStatus {
  int code = 0;
  int signal = 0;
  bool success() const { return code == 0 && signal == 0; }
  std::string describe() const;  // "exited with code 3", "killed by signal 9 (Killed)"
};

// Owns the child: the destructor kills and reaps a group that is still there.
class Process {
 public:
  static Result<Process> start(const ProcessOptions& options);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();

  pid_t id() const { return id_; }
  // The exit status once the child has ended, and then what it left behind in its group is killed; does not
  // wait.
  std::optional<ExitStatus> poll();
  // Waits up to the limit.
  std::optional<ExitStatus> wait_for(Microseconds limit);
  // Signals the whole group.
  void signal(int number);
  // SIGKILL for the whole group, and for the whole session if it is the child's own.
  void kill();

  int stdout_descriptor() const { return stdout_; }  // -1 unless pipe_stdout
  // Never waits. Fails, with nothing of the line sent, when the child has closed its stdin (SIGPIPE has to be
  // ignored for that) or does not read and its pipe is full. At most PIPE_BUF bytes (4096), the newline
  // included.
  Status send_line(const std::string& line);
  void close_stdin();

 private:
  Process() = default;
  pid_t id_ = -1;
  int stdin_ = -1;
  int stdout_ = -1;
  bool own_session_ = false;
  std::optional<ExitStatus> status_;
};

// The path of the running program, for starting more of it.
Result<std::filesystem::path> this_program();

}  // namespace regatta

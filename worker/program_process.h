// One rank's program: its environment, its output line by line, its end.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/result.h"

namespace regatta {

struct ProgramStart {
  std::vector<std::string> command;
  std::filesystem::path directory;
  std::map<std::string, std::string> variables;
  std::filesystem::path log;  // standard error is appended; standard output too, unless it is read
  // Not empty: lines of standard output come through next_line(), and those for people are kept here.
  std::filesystem::path output_log;
};

class ProgramProcess {
 public:
  static Result<ProgramProcess> start(const ProgramStart& start);

  // The next whole line of output; waits up to `wait` for more. nullopt: none yet, or the output has ended.
  std::optional<std::string> next_line(Microseconds wait);
  void keep_output(const std::string& line);
  // Says the answer, without waiting; a program that does not read is no error.
  void answer(const std::string& line);
  // How it ended, once it has and all its output has been read. What a process that it left behind may still
  // print is not waited for.
  std::optional<ExitStatus> ended();
  // Waits until it has ended, at most so long. How it ended, even if its output has not been read.
  std::optional<ExitStatus> wait(Microseconds limit) { return process_.wait_for(limit); }
  // Lets it exit by itself within `patience`, then SIGTERM, and SIGKILL five seconds later; the whole process
  // group.
  void finish(Microseconds patience);
  // The last lines that it wrote, for messages: of standard error, or else of standard output.
  std::string last_output() const;

 private:
  // A file that goes on from earlier attempts.
  struct Log {
    std::filesystem::path path;
    std::uintmax_t begin = 0;  // of this attempt, in bytes
  };
  ProgramProcess(Process process, Log log, Log output_log);
  static Log open_log(const std::filesystem::path& path);
  static std::string last_lines(const Log& log);
  // False: nothing came in time, or nothing more will come.
  bool read_available(Microseconds wait);
  std::size_t bytes_in_pipe() const;

  Process process_;
  Log log_;
  Log output_log_;
  std::string buffer_;  // of the output, after the last whole line
  std::deque<std::string> lines_;
  std::optional<std::size_t> last_bytes_;  // in the pipe when it had ended, and not read yet
  bool output_ended_ = false;
};

}  // namespace regatta

// One rank's program: its environment, its output line by line, its end.
#pragma once

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
  std::filesystem::path log;  // standard error and all lines that are no reports are appended
  bool reads_output = false;  // rank 0: lines come through next_line(); otherwise they go to the log
};

// Variables of this process that would make the program take itself for a rank of the crew's own MPI job.
std::vector<std::string> launcher_variables();

class ProgramProcess {
 public:
  static Result<ProgramProcess> start(const ProgramStart& start);

  // The next whole line of output; waits up to `wait` for more. nullopt: none yet, or the output has ended.
  std::optional<std::string> next_line(Microseconds wait);
  void append_to_log(const std::string& line);
  // Says the answer; a program that no longer reads is no error.
  void answer(const std::string& line);
  // How it ended, once it has and all its output has been read.
  std::optional<ExitStatus> ended();
  // Waits until it has ended, at most so long.
  void wait(Microseconds limit) { (void)process_.wait_for(limit); }
  // Lets it exit by itself within `patience`, then SIGTERM, and SIGKILL five seconds later; the whole process
  // group.
  void finish(Microseconds patience);
  // The last lines of the log, for messages.
  std::string last_output() const;

 private:
  ProgramProcess(Process process, const ProgramStart& start);
  // False: nothing came in time, or nothing more will come.
  bool read_available(Microseconds wait);

  Process process_;
  std::filesystem::path log_;
  std::string buffer_;  // of the output, after the last whole line
  std::deque<std::string> lines_;
  bool output_ended_ = false;
};

}  // namespace regatta

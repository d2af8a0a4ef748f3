// The processes that stand for crews here: what launchers have in common once they know the command.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/process.h"
#include "cluster/launcher.h"

namespace regatta {

struct CrewCommand {
  std::vector<std::string> command;
  std::map<std::string, std::string> variables;
  std::vector<std::string> removed_prefixes;  // of variables that the crew must not inherit
};

// What every rank of a crew runs, whoever starts it.
std::vector<std::string> worker_command(const CrewSpec& crew, const Resources& resources,
                                        const std::filesystem::path& program);

int ranks_of(const CrewSpec& crew, const Resources& resources);

bool in_path(const std::string& program);

// Not thread-safe. Each crew's process has a session of its own and appends to the crew's log.
class CrewProcesses {
 public:
  CrewProcesses() = default;
  CrewProcesses(const CrewProcesses&) = delete;
  CrewProcesses& operator=(const CrewProcesses&) = delete;
  ~CrewProcesses() { kill_all(); }  // what is left

  Status start(const CrewSpec& crew, CrewCommand command);
  // Crews that ended since the last call; does not wait. The reason of a failed one goes on with its last
  // words.
  std::vector<CrewExit> poll();
  std::optional<long> process_of(const std::string& crew) const;  // nullopt: it has ended
  void signal_all(int number);
  // Until all have ended, at most so long.
  void wait_for_all(Microseconds limit);
  void kill_all();

 private:
  struct Running {
    Process process;
    std::filesystem::path log;
    std::uintmax_t log_start = 0;  // earlier crews may have written to the same file
  };
  static CrewExit describe_exit(const std::string& name, const Running& crew, const ExitStatus& status);
  void collect_exits();

  SystemClock clock_;
  std::map<std::string, Running> running_;
  std::vector<CrewExit> exits_;  // not yet told
};

}  // namespace regatta

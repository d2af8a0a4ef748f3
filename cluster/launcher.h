// Launchers start crews and see them end.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/resources.h"

namespace regatta {

struct CrewSpec {
  std::string name;              // unique for this start: "crew-0.2"
  int slot = 0;                  // which of the study's crews
  std::filesystem::path folder;  // of the study
  std::filesystem::path log;     // the crew's output
};

struct CrewExit {
  std::string name;
  bool preempted = false;
  bool clean = false;  // dismissed, exit code 0
  std::string reason;  // "rank 1 of crew-0.2 on host a: killed by signal 9"
};

class Launcher {
 public:
  // Kills the crews that were not stopped.
  virtual ~Launcher() = default;
  virtual Status start(const CrewSpec& crew) = 0;
  // Crews that ended since the last call; does not wait.
  virtual std::vector<CrewExit> poll() = 0;
  // Asks all crews to end (SIGTERM), kills what is left after `grace`. poll() then tells how each ended.
  virtual void stop_all(Microseconds grace) = 0;
};

// Each crew is its own `mpirun -n ranks PROGRAM worker …`: one crew, one failure domain. Crews of one rank
// are started without mpirun. Crews outlive this process unless stopped: they have their own process groups
// and write to their own logs. `program`: empty for the running one. Fails where crews of several ranks could
// never start: no mpirun, or inside another MPI job.
Result<std::unique_ptr<Launcher>> make_mpirun_launcher(const Resources& resources,
                                                       const std::filesystem::path& program = {});

}  // namespace regatta

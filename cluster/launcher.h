// Launchers start crews and see them end. A slot is the room for one crew of resources.ranks ranks; the study
// has as many as it has crews, numbered from 0.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/resources.h"

namespace regatta {

struct CrewSpec {
  std::string name;              // unique for this start: "crew-0.2"
  std::vector<int> slots = {0};  // that it takes up, ascending; its ranks are resources.ranks for each
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
  // For a running crew whose leader may be on another host: the process of this host that the crew ends with,
  // which leads a group of its own. nullopt: the crew's leader itself tells which process it is.
  virtual std::optional<long> process_of(const std::string& crew) const = 0;
  // Crews that ended since the last call; does not wait.
  virtual std::vector<CrewExit> poll() = 0;
  // Asks all crews to end (SIGTERM), kills what is left after `grace`. poll() then tells how each ended.
  virtual void stop_all(Microseconds grace) = 0;
};

// The launcher for where this process is: the job's steps in a Slurm allocation that settle_room() has found,
// else mpirun. `program`: empty for the running one.
Result<std::unique_ptr<Launcher>> make_launcher(const Resources& resources,
                                                const std::filesystem::path& program = {});

// Why crews of several slots cannot be started here (of one slot and one rank they need no mpirun): a
// sentence without an end; empty: they can.
std::string why_no_large_crews(const Resources& resources);

// Each crew is its own `mpirun -n ranks PROGRAM worker …`: one crew, one failure domain. Crews of one rank
// are started without mpirun. Crews outlive this process unless stopped: they have their own process groups
// and write to their own logs. Fails where crews of several ranks could never start: no mpirun,
// or inside another MPI job.
Result<std::unique_ptr<Launcher>> make_mpirun_launcher(const Resources& resources,
                                                       const std::filesystem::path& program = {});

}  // namespace regatta

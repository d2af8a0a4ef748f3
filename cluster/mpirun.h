// What starts one crew on this machine, apart from starting it.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cluster/crew_processes.h"
#include "cluster/launcher.h"
#include "cluster/resources.h"

namespace regatta {

// What the command depends on, as found at start-up.
struct Surroundings {
  std::filesystem::path program;               // of the workers
  int cores = 1;                               // usable
  bool in_slurm_job = false;                   // whose nodes Open MPI would take for its own
  bool root = false;                           // Open MPI refuses root unless told twice
  bool cross_memory_attach = true;             // a process may read another's memory (process_vm_readv)
  std::optional<std::string> visible_devices;  // CUDA_VISIBLE_DEVICES
};
Surroundings find_surroundings(const std::filesystem::path& program);

// What every rank of a crew of `ranks` finds in its environment, whoever starts it: threads, and what Open
// MPI must know of these surroundings.
void add_rank_variables(std::map<std::string, std::string>& variables, const Resources& resources,
                        const Surroundings& surroundings, int ranks);

CrewCommand crew_command(const CrewSpec& crew, const Resources& resources, const Surroundings& surroundings);

// Whether this process is itself a rank of an MPI job.
bool inside_mpi_job();

}  // namespace regatta

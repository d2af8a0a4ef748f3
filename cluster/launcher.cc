// Which launcher belongs to where this process is.
#include "cluster/launcher.h"

#include "cluster/mpirun.h"
#include "cluster/slurm_steps.h"

namespace regatta {

// In an allocation the step of a crew that takes over the slots of others would wait for their steps to end,
// and they for it to be ready.
std::string why_no_large_crews(const Resources& resources) {
  if (resources.slurm) {
    return "they are steps of a Slurm job";
  }
  if (resources.ranks > 1) {
    return {};  // started by mpirun in any case
  }
  if (inside_mpi_job()) {
    return "this is an MPI job already";
  }
  return in_path("mpirun") ? "" : "there is no mpirun";
}

Result<std::unique_ptr<Launcher>> make_launcher(const Resources& resources,
                                                const std::filesystem::path& program) {
  return resources.slurm ? make_slurm_launcher(resources, program) : make_mpirun_launcher(resources, program);
}

}  // namespace regatta

// Which launcher belongs to where this process is.
#include "cluster/launcher.h"

#include "cluster/mpirun.h"
#include "cluster/slurm_steps.h"

namespace regatta {

// In an allocation the step of a crew that takes over the slots of others would wait for their steps to end,
// and they for it to be ready.
bool can_start_large_crews(const Resources& resources) {
  return !resources.slurm && (resources.ranks > 1 || (in_path("mpirun") && !inside_mpi_job()));
}

Result<std::unique_ptr<Launcher>> make_launcher(const Resources& resources,
                                                const std::filesystem::path& program) {
  return resources.slurm ? make_slurm_launcher(resources, program) : make_mpirun_launcher(resources, program);
}

}  // namespace regatta

// Crews as steps of a Slurm job: what starts one, and the launcher.
#pragma once

#include <filesystem>
#include <memory>

#include "base/result.h"
#include "cluster/crew_processes.h"
#include "cluster/launcher.h"
#include "cluster/mpirun.h"

namespace regatta {

// How the ranks of a step find each other: through Slurm's PMIx, or by an mpirun within a step of one task,
// which stays on one node.
enum class StepRanks { pmix, mpirun };

// The step of a crew; resources.slurm is there.
CrewCommand step_command(const CrewSpec& crew, const Resources& resources, const Surroundings& surroundings,
                         StepRanks ranks);

// Whether a crew's end was Slurm's doing and none of its own: its job was preempted or requeued, or has
// reached its time limit, or a node has failed. `reason`: with the last words of the crew's log.
bool ended_by_slurm(const std::string& reason);

// Each crew is a step of its own, `srun --exact … regatta worker …`: Slurm gives it cores and cards that no
// other crew has. Where srun has no PMIx, mpirun starts the ranks within a node, and a note in the log says
// so. Fails where a crew could never start.
Result<std::unique_ptr<Launcher>> make_slurm_launcher(const Resources& settled,
                                                      const std::filesystem::path& program = {});

}  // namespace regatta

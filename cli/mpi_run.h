// `mpirun -n N regatta run FILE`: rank 0 coordinates, the others are split into crews.
#pragma once

#include "base/result.h"
#include "cli/session.h"

namespace regatta {

// Called by every rank. Returns the exit code of this rank.
Result<int> run_under_mpi(const NewStudy& request);

// For commands that need no other rank: rank 0's error says so, the others end in silence. Needs no MPI.
Result<int> refuse_under_mpi();

// Which crew a rank belongs to: ranks 1 … R are crew 0, the next R crew 1, …; negative: none (rank 0, and
// ranks that are left over).
int crew_of_rank(int rank, int ranks_per_crew, int crews);

}  // namespace regatta

// `mpirun -n N regatta run FILE`: rank 0 coordinates, the others are split into crews.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/session.h"
#include "cluster/placement.h"

namespace regatta {

// Called by every rank. Returns the exit code of this rank.
Result<int> run_under_mpi(const NewStudy& request);

// For commands that need no other rank: rank 0's error says so, the others end in silence. Needs no MPI.
Result<int> refuse_under_mpi();

// So many ranks as mpirun has started on each host, rank 0 left out, in the order of the hosts' first ranks.
std::vector<RoomOnHost> room_for_crews(const std::vector<std::string>& host_of_rank);

// Which crew each rank belongs to: the places' ranks are those of their hosts, in rank order. Negative: none
// (rank 0, and ranks that are left over).
std::vector<int> crews_of_ranks(const std::vector<std::string>& host_of_rank,
                                const std::vector<CrewPlace>& places);

}  // namespace regatta

// Where the ranks of a crew are, as their programs need to know it.
#pragma once

#include <string>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

struct RankPlace {
  int local_rank = 0;  // among the ranks of the same host
  int local_ranks = 1;
  std::string leader_address;  // of rank 0, as all ranks reach it
  int leader_port = 0;         // free on the leader's host a moment ago
};

// All ranks.
Result<RankPlace> find_rank_place(Communicator& communicator);

}  // namespace regatta

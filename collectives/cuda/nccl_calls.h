// Inside collectives/cuda only: NCCL's calls that do not block, and what NCCL says when they fail.
#pragma once

#include <nccl.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

// "remote process exited or there was a network error (…)": the code's meaning, and NCCL's own last words.
std::string nccl_text(ncclResult_t code, ncclComm_t communicator);

// What the communicator says of itself: ncclSuccess, ncclInProgress or what went wrong.
ncclResult_t nccl_state(ncclComm_t communicator);

// From rank 0 to all: the name under which the ranks find each other.
Result<ncclUniqueId> share_unique_id(Communicator& crew);

// How the ranks of a crew sit on their cards; the same on all ranks.
struct Seating {
  std::optional<std::string> shared;  // two of them that have one card, in words
  bool one_host = true;
};
// Makes `card` this thread's device.
Result<Seating> seat_ranks(Communicator& crew, int card);

// Several ranks on one card, which NCCL refuses on one host: makes this process look like a host of its own.
// Before the process's first NCCL call; what the user has set stays.
void look_like_another_host(int rank, bool one_host);

}  // namespace regatta

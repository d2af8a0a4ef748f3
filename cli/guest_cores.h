// The cores of crews that join a study from outside, which no coordinator deals them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cpus.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "devices/core_claims.h"
#include "worker/rank_cpus.h"

namespace regatta {

struct GuestDemand {
  int ranks = 1;               // a crew
  std::optional<int> threads;  // a rank; else as many as there are CPUs for
  bool bind = true;            // resources.bind
};

struct GuestCores {
  int threads = 1;                // of this rank
  CpuSet cpus;                    // of all ranks on this host; empty: the system chooses
  std::string why_unbound;        // a sentence without an end
  std::optional<CpuClaim> claim;  // on `cpus`, of one rank of a host for all there
};

// How the ranks of a host stand that were started together.
struct HostRanks {
  std::vector<int> here;   // those that compute, on one rank's host
  CpuSet cpus;             // that they may run on, together
  int cores = 1;           // of these, as many as they have time for
  bool are_bound = false;  // their launcher has given each its own
};
HostRanks ranks_on_host(std::span<const RankMask> masks, int rank);

// `own`: how many CPUs the rank itself may run on.
int guest_threads(const GuestDemand& demand, const HostRanks& ranks, int own, const GuestCores& settled);

// Called by all processes that were started together; `masks` are theirs, without CPUs of those that do not
// compute. The ranks of a host take what nobody there has claimed, divide it, and run there from now on.
// Ranks that their launcher has bound to CPUs of their own stay.
Result<GuestCores> settle_guest_cores(Communicator& world, const std::vector<RankMask>& masks,
                                      const GuestDemand& demand);

}  // namespace regatta

// Which CPUs the ranks may run on, as they see it themselves: for ranks whose launcher has not dealt them
// any.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/cpus.h"
#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

// Of one rank. Those beyond the 4096th CPU of a host are not told.
struct RankMask {
  std::string host;
  CpuSet cpus;    // none: it does not compute
  int limit = 0;  // see cpu_limit(); 0: none
};

// By rank: the CPUs that each hands in; collective.
Result<std::vector<RankMask>> gather_cpus(Communicator& communicator, const CpuSet& mine);
// Those that it may run on.
Result<std::vector<RankMask>> gather_masks(Communicator& communicator, bool computes = true);

// How many cores the ranks on this rank's host have together.
int cores_of_host(std::span<const RankMask> masks, int rank);

// This rank is the `index`-th of `of` ranks on its host that may run on the same CPUs.
struct Sharers {
  int index = 0;
  int of = 1;
};

// nullopt: its CPUs are its own, or overlap with others': somebody has bound the ranks already.
std::optional<Sharers> sharers_of(std::span<const RankMask> masks, int rank);

struct DivideOptions {
  bool computes = true;
  int ranks = 1;    // of a crew
  int threads = 1;  // of a rank
};

// Ranks on a host that may run on the same CPUs take a part each, where these are enough, crew by crew as
// deal_cores() does. Collective. Only for ranks whose CPUs nobody else computes on.
Status divide_cpus(Communicator& communicator, const DivideOptions& options);

}  // namespace regatta

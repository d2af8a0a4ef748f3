// Which cores each crew and each of its ranks gets. Decisions only: what is there is passed in.
#pragma once

#include <span>
#include <vector>

#include "base/cpus.h"
#include "devices/cores.h"

namespace regatta {

// What the crews of one host ask for.
struct CoreDemand {
  int crews = 1;
  int ranks = 1;    // a crew
  int threads = 1;  // a rank
};

using RankCpus = std::vector<CpuSet>;  // of a crew, by rank

// By crew, what each rank may run on: `threads` cores at least, all that there are in equal shares. A crew
// has neighbouring ones, within one package, NUMA node and cache where it fits, and crews are spread over
// these. Whole cores, unless there are too few: then their hardware threads one by one. Empty where these are
// too few as well: ranks that would have to share a CPU do better where the system chooses.
//
// `near`: by rank, crew after crew, the CPUs next to its card; then ranks get cores there where they can,
// wherever their crew's other ranks are. Empty: none has any.
std::vector<RankCpus> deal_cores(std::span<const Core> cores, const CoreDemand& demand,
                                 std::span<const CpuSet> near = {});

}  // namespace regatta

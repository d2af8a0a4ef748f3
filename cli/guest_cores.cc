// One rank of each host chooses for all there, so that there is one choice; the division is that of ranks
// under one mpirun.
#include "cli/guest_cores.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"
#include "cluster/binding.h"
#include "collectives/mpi_communicator.h"

namespace regatta {
namespace {

bool is_first(const HostRanks& ranks, int rank) { return !ranks.here.empty() && ranks.here.front() == rank; }

// What is to be said waits until others may choose: whoever reads it may be slow.
CpuSet choose(const GuestDemand& demand, const HostRanks& ranks, const HostCores& host,
              std::optional<CpuClaim>& claim) {
  CpuSet shared;
  const auto choose_beside = [&](const CpuSet& taken) {
    if (!ranks.are_bound) {
      return free_share(host.cores, taken, static_cast<int>(ranks.here.size()), demand.threads);
    }
    shared = intersected(ranks.cpus, taken);
    return ranks.cpus;
  };
  auto chosen = claim_cpus(choose_beside);
  if (!chosen.ok()) {
    print_to(stderr, "other crews of this host may use the same CPUs: {}\n", chosen.error().message);
    return choose_beside({});
  }
  if (!shared.empty()) {
    print_to(stderr, "other crews of this host have CPUs {} too: start mpirun with --bind-to none\n",
             format_cpus(shared));
  }
  claim = std::move(chosen).value();
  return claim->cpus();
}

std::string describe_lack(const HostRanks& ranks) {
  return fmt::format("other crews have too many of the CPUs {}{}", format_cpus(ranks.cpus),
                     started_by_mpi() ? "; mpirun --bind-to none allows all of the host's" : "");
}

}  // namespace

HostRanks ranks_on_host(std::span<const RankMask> masks, int rank) {
  HostRanks ranks;
  const std::string& host = masks[static_cast<std::size_t>(rank)].host;
  for (int other = 0; other < static_cast<int>(masks.size()); ++other) {
    const RankMask& mask = masks[static_cast<std::size_t>(other)];
    if (mask.host != host || mask.cpus.empty()) {
      continue;
    }
    ranks.are_bound = ranks.are_bound || (!ranks.here.empty() && mask.cpus != ranks.cpus);
    ranks.here.push_back(other);
    ranks.cpus = united(ranks.cpus, mask.cpus);
  }
  ranks.cores = cores_of_host(masks, rank);
  return ranks;
}

int guest_threads(const GuestDemand& demand, const HostRanks& ranks, int own, const GuestCores& settled) {
  if (demand.threads) {
    return *demand.threads;
  }
  const int count = std::max(1, static_cast<int>(ranks.here.size()));
  if (ranks.are_bound) {
    return std::max(1, std::min(own, ranks.cores));
  }
  if (!settled.cpus.empty()) {
    return std::max(1, static_cast<int>(settled.cpus.size()) / count);
  }
  // Where others have the CPUs, more threads would only be in their way.
  return settled.why_unbound.empty() ? 1 : std::max(1, ranks.cores / count);
}

Result<GuestCores> settle_guest_cores(Communicator& world, const std::vector<RankMask>& masks,
                                      const GuestDemand& demand) {
  const int rank = world.rank();
  const CpuSet& own = masks[static_cast<std::size_t>(rank)].cpus;
  const HostRanks ranks = ranks_on_host(masks, rank);
  const HostCores host = find_host_cores({});
  GuestCores settled;
  settled.why_unbound = why_not_dealt(demand.bind, host);
  const bool may_bind = settled.why_unbound.empty();
  const CpuSet mine =
      may_bind && is_first(ranks, rank) ? choose(demand, ranks, host, settled.claim) : CpuSet();
  ASSIGN_OR_RETURN(const auto shares, gather_cpus(world, mine));
  if (!ranks.here.empty()) {
    settled.cpus = shares[static_cast<std::size_t>(ranks.here.front())].cpus;
  }
  settled.threads = guest_threads(demand, ranks, static_cast<int>(own.size()), settled);
  const bool divides = !settled.cpus.empty() && !own.empty() && !ranks.are_bound;
  const Status moved = divides ? run_on(settled.cpus) : Status();
  RETURN_IF_ERROR(divide_cpus(
      world, {.computes = divides && moved.ok(), .ranks = demand.ranks, .threads = settled.threads}));
  RETURN_IF_ERROR(moved);  // not before: the others would wait for this rank
  if (may_bind && settled.cpus.empty()) {
    settled.why_unbound = describe_lack(ranks);
  }
  return settled;
}

}  // namespace regatta

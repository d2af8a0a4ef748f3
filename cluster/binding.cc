// The environment is asked once; dealing is devices/core_assignment's.
#include "cluster/binding.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/host.h"
#include "devices/core_assignment.h"

namespace regatta {
namespace {

// What OpenMP's runtimes bind threads by.
constexpr const char* kBindingVariables[] = {"OMP_PLACES", "OMP_PROC_BIND", "GOMP_CPU_AFFINITY",
                                             "KMP_AFFINITY"};

std::size_t cpu_count(const std::vector<Core>& cores) {
  std::size_t count = 0;
  for (const Core& core : cores) {
    count += core.cpus.size();
  }
  return count;
}

// By rank, crew after crew; empty: they have no cards, or the system does not tell where these are.
std::vector<CpuSet> cpus_near_ranks(const Resources& resources, const std::vector<CpuSet>& near_cards) {
  std::vector<CpuSet> near;
  bool any = false;
  for (const std::vector<int>& crew : resources.cards) {
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(resources.ranks); ++rank) {
      const auto card = static_cast<std::size_t>(crew[rank % crew.size()]);
      near.push_back(card < near_cards.size() ? near_cards[card] : CpuSet());
      any = any || !near.back().empty();
    }
  }
  return any ? near : std::vector<CpuSet>();
}

}  // namespace

std::string binding_variable() {
  for (const char* name : kBindingVariables) {
    if (std::getenv(name) != nullptr) {
      return name;
    }
  }
  return {};
}

HostCores find_host_cores(const std::vector<std::string>& buses) {
  HostCores host{.cores = find_cores(allowed_cpus()),
                 .limit = cpu_limit(),
                 .near_cards = {},
                 .bound_by = binding_variable()};
  for (const std::string& bus : buses) {
    host.near_cards.push_back(cpus_near(bus));
  }
  return host;
}

std::string why_not_dealt(bool bind, const HostCores& host) {
  if (!bind) {
    return "resources.bind is none";
  }
  if (host.cores.empty()) {
    return "the system does not tell which cores there are";
  }
  if (!host.bound_by.empty()) {
    return fmt::format("{} binds threads already", host.bound_by);
  }
  const std::size_t cpus = cpu_count(host.cores);
  if (host.limit && static_cast<std::size_t>(*host.limit) < cpus) {
    return fmt::format("this container or Slurm job may use {} of {} CPUs, whichever are free", *host.limit,
                       cpus);
  }
  return {};
}

void settle_cores(Resources& resources, const HostCores& host) {
  resources.cpus.clear();
  resources.why_unbound = why_not_dealt(resources.bind, host);
  if (!resources.why_unbound.empty()) {
    return;
  }
  resources.cpus = deal_cores(
      host.cores, {.crews = resources.crews, .ranks = resources.ranks, .threads = resources.threads},
      cpus_near_ranks(resources, host.near_cards));
  if (resources.cpus.empty()) {
    resources.why_unbound = "there are more threads than CPUs";
  }
}

}  // namespace regatta

// Whether this host's crews keep to cores of their own, and to which.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cluster/resources.h"
#include "devices/cores.h"

namespace regatta {

// What there is to deal, as this process sees it.
struct HostCores {
  std::vector<Core> cores;
  std::optional<int> limit;        // see cpu_limit()
  std::vector<CpuSet> near_cards;  // by card
  std::string bound_by;            // who else binds threads; see binding_variable()
};

// Of the environment, by which a runtime of OpenMP binds threads already; empty: none is set.
std::string binding_variable();

// `buses`: of the cards.
HostCores find_host_cores(const std::vector<std::string>& buses);

// Why cores are not dealt here, whatever there is to deal: a sentence without an end; empty: they are.
// `bind`: as the file says.
std::string why_not_dealt(bool bind, const HostCores& host);

// Deals the cores to the crews' ranks (resources.cpus). They stay with the system, and resources.why_unbound
// says why, where the file says `bind: none`; where ranks and threads want more CPUs than there are, because
// two on one would be slower than what the system makes of them; where a limit is below the number of CPUs,
// because others are on them; and where the environment binds threads already.
void settle_cores(Resources& resources, const HostCores& host);

}  // namespace regatta

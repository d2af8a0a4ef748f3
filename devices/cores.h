// The processor cores of this host and how they lie to one another, as hwloc finds them (Broquedis et al.,
// "hwloc: a generic framework for managing hardware affinities in HPC applications", PDP 2010).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/cpus.h"
#include "base/result.h"

namespace regatta {

struct Core {
  CpuSet cpus;      // its hardware threads that may be used; at least one
  int package = 0;  // numbers of what it is a part of; cores with the same number are neighbours
  int node = 0;     // NUMA node
  int cache = 0;    // the last-level cache that it shares
};

// Those of `allowed`, neighbours beside each other. Empty where the system does not tell.
std::vector<Core> find_cores(const CpuSet& allowed);

// All cores of a machine in hwloc's words: "package:2 numa:2 core:8 pu:2".
Result<std::vector<Core>> describe_cores(const std::string& machine);

// The CPUs next to the card on this bus ("0000:1b:00.0"); empty where the system does not tell.
CpuSet cpus_near(const std::string& bus, const std::filesystem::path& devices = "/sys/bus/pci/devices");

}  // namespace regatta

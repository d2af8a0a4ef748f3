// Which hosts crews may run on: `resources.hosts`, or a hostfile as Open MPI reads it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "experiment/section.h"

namespace regatta {

struct HostSlots {
  std::string name;  // as the agent and mpirun are to know it
  int slots = 0;     // ranks that it takes; 0: as many as it has cores, which only the host itself can tell
  Place place;
};

// `hosts: [a:4, b]` or `hostfile: PATH`, which starts where the experiment file lies. Empty: neither is
// there. Mistakes are left with the section.
std::vector<HostSlots> read_hosts(Section& section);

// "NAME slots=N" a line; "#" begins a comment. A name without slots has as many as the host has cores; where
// it stands on several lines, one for each. `file` is what messages call it.
Result<std::vector<HostSlots>> parse_hostfile(std::string_view text, const std::string& file);

// "a:4, b".
std::string describe(const std::vector<HostSlots>& hosts);

}  // namespace regatta

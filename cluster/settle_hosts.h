// What `resources` comes to on several hosts, once they have told what they have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/resources.h"

namespace regatta {

struct HostFacts {
  std::string name;  // as in `hosts`
  int slots = 0;     // as the user gives them; 0: as many as there are cores, or ranks that the cards take
  int cores = 1;
  int cards = 0;  // that the study may use
  std::string why_no_cards;
  bool here = false;  // it is this host
};

// Places the crews, deals each host's cards to them, and fills in how many crews and threads there are where
// the section does not say. Refuses what has no room, and `device: cuda` on a host without enough cards; with
// `auto` all crews then compute on CPUs. `crews`: as many as there are in any case.
Status settle_hosts(Resources& resources, const Node& section, const std::vector<HostFacts>& hosts,
                    std::optional<int> crews = {});

}  // namespace regatta

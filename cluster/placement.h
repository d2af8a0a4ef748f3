// Which ranks of which crew run on which host. Decisions only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace regatta {

// So many ranks of one crew on a host.
struct PlacedRanks {
  std::string host;
  int ranks = 0;
  bool here = false;            // on this host
  std::vector<int> cards = {};  // of the host, that they may use; empty: they compute on CPUs
  friend bool operator==(const PlacedRanks&, const PlacedRanks&) = default;
};
// Rank 0 is the first of the first host. One entry: the crew is whole on that host.
using CrewPlace = std::vector<PlacedRanks>;

struct RoomOnHost {
  std::string host;
  int slots = 0;      // ranks that it takes
  bool here = false;  // it is this host
};

struct PlacementDemand {
  // By default as many as fit whole on hosts; where not even one does, as many as fit over hosts.
  std::optional<int> crews;
  int ranks = 1;  // a crew
};

// A place for each crew. A crew is whole on the host with the most room that is left; only when no host has
// room for one, the rest is put together over as few hosts as can be, the first host's ranks first. Refuses,
// with the arithmetic, what has no room.
Result<std::vector<CrewPlace>> place_crews(const std::vector<RoomOnHost>& hosts,
                                           const PlacementDemand& demand);

// The place of a crew that takes several places at once: each host once.
CrewPlace join_places(const std::vector<CrewPlace>& places);

}  // namespace regatta

// Whole crews first, each where most is free: so crews that are fewer than the hosts could take are spread.
#include "cluster/placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>

#include "base/check.h"

namespace regatta {
namespace {

std::int64_t total_slots(const std::vector<RoomOnHost>& hosts) {
  return std::accumulate(hosts.begin(), hosts.end(), std::int64_t{0},
                         [](std::int64_t sum, const RoomOnHost& host) { return sum + host.slots; });
}

std::string describe_room(const std::vector<RoomOnHost>& hosts) {
  constexpr std::size_t kMostNamed = 8;
  std::string text;
  for (std::size_t i = 0; i < std::min(hosts.size(), kMostNamed); ++i) {
    text += fmt::format("{}{}:{}", i > 0 ? ", " : "", hosts[i].host, hosts[i].slots);
  }
  return hosts.size() > kMostNamed ? fmt::format("{} and {} more", text, hosts.size() - kMostNamed) : text;
}

std::int64_t default_crews(const std::vector<RoomOnHost>& hosts, int ranks) {
  std::int64_t whole = 0;
  for (const RoomOnHost& host : hosts) {
    whole += host.slots / ranks;
  }
  return whole > 0 ? whole : total_slots(hosts) / ranks;
}

std::size_t roomiest(const std::vector<RoomOnHost>& hosts) {
  return static_cast<std::size_t>(std::ranges::max_element(hosts, {}, &RoomOnHost::slots) - hosts.begin());
}

// Takes the room that it uses.
CrewPlace place_crew(std::vector<RoomOnHost>& hosts, int ranks) {
  std::vector<int> taken(hosts.size(), 0);
  for (int left = ranks; left > 0;) {
    const std::size_t host = roomiest(hosts);
    const int part = std::min(left, hosts[host].slots);
    CHECK(part > 0, "the slots were counted");
    hosts[host].slots -= part;
    taken[host] += part;
    left -= part;
  }
  CrewPlace place;
  for (std::size_t host = 0; host < hosts.size(); ++host) {
    if (taken[host] > 0) {
      place.push_back({.host = hosts[host].host, .ranks = taken[host], .here = hosts[host].here});
    }
  }
  return place;
}

}  // namespace

Result<std::vector<CrewPlace>> place_crews(const std::vector<RoomOnHost>& hosts,
                                           const PlacementDemand& demand) {
  const std::int64_t slots = total_slots(hosts);
  const std::int64_t crews =
      demand.crews.value_or(std::max<std::int64_t>(1, default_crews(hosts, demand.ranks)));
  const std::int64_t wanted = crews * demand.ranks;
  if (wanted > slots) {
    return user_mistake(
        fmt::format("{} crew{} of {} rank{} need{} {} slot{}, but the hosts ({}) have {}: lower "
                    "resources.crews or ranks, or "
                    "give the hosts more slots (HOST:SLOTS)",
                    crews, crews == 1 ? "" : "s", demand.ranks, demand.ranks == 1 ? "" : "s",
                    crews == 1 ? "s" : "", wanted, wanted == 1 ? "" : "s", describe_room(hosts), slots));
  }
  std::vector<RoomOnHost> room = hosts;
  std::vector<CrewPlace> places;
  for (std::int64_t crew = 0; crew < crews; ++crew) {
    places.push_back(place_crew(room, demand.ranks));
  }
  return places;
}

CrewPlace join_places(const std::vector<CrewPlace>& places) {
  CrewPlace joined;
  for (const CrewPlace& place : places) {
    for (const PlacedRanks& part : place) {
      const auto same = std::ranges::find(joined, part.host, &PlacedRanks::host);
      if (same == joined.end()) {
        joined.push_back(part);
      } else {
        same->ranks += part.ranks;
        std::ranges::copy_if(part.cards, std::back_inserter(same->cards), [&](int card) {
          return std::ranges::find(same->cards, card) == same->cards.end();
        });
      }
    }
  }
  return joined;
}

}  // namespace regatta

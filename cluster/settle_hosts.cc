// A host's slots are its cores, or what its cards take; crews are placed on slots, and cards dealt to places.
#include "cluster/settle_hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "devices/assignment.h"

namespace regatta {
namespace {

Place place_of(const Node& section, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (const Node* found = section.find(key)) {
      return found->place();
    }
  }
  return section.place();
}

std::vector<int> usable_cards(const Resources& resources, const HostFacts& host) {
  std::vector<int> cards = resources.gpus;
  if (cards.empty()) {
    cards.resize(static_cast<std::size_t>(host.cards));
    std::iota(cards.begin(), cards.end(), 0);
  }
  std::erase_if(cards, [&](int card) { return card >= host.cards; });
  return cards;
}

// The first host that has no card at all, in words.
std::string why_no_cards(const std::vector<HostFacts>& hosts) {
  for (const HostFacts& host : hosts) {
    if (host.cards == 0) {
      return fmt::format("there is no card on host {}: {}", host.name,
                         host.why_no_cards.empty() ? "none was found" : host.why_no_cards);
    }
  }
  return "";
}

std::vector<RoomOnHost> room_on(const std::vector<HostFacts>& hosts, const Resources& resources, bool cards) {
  std::vector<RoomOnHost> room;
  for (const HostFacts& host : hosts) {
    const int own =
        cards ? static_cast<int>(usable_cards(resources, host).size()) * resources.ranks_per_gpu : host.cores;
    room.push_back({.host = host.name, .slots = host.slots > 0 ? host.slots : own, .here = host.here});
  }
  return room;
}

// Fills in the cards of the places on one host.
Status deal_to(std::vector<CrewPlace>& places, const HostFacts& host, const Resources& resources) {
  std::vector<PlacedRanks*> parts;
  int ranks = 0;
  for (CrewPlace& place : places) {
    for (PlacedRanks& part : place) {
      if (part.host == host.name) {
        parts.push_back(&part);
        ranks = std::max(ranks, part.ranks);
      }
    }
  }
  if (parts.empty()) {
    return {};
  }
  ASSIGN_OR_RETURN(const auto dealt, deal_cards(host.name, usable_cards(resources, host),
                                                {.crews = static_cast<int>(parts.size()),
                                                 .ranks = ranks,
                                                 .cards_a_crew = resources.gpus_a_crew,
                                                 .ranks_per_card = resources.ranks_per_gpu}));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i]->cards = dealt[i];
  }
  return {};
}

Result<std::vector<CrewPlace>> place_all(const Resources& resources, const Node& section,
                                         const std::vector<HostFacts>& hosts, bool cards,
                                         std::optional<int> crews) {
  PlacementDemand demand{.crews = crews, .ranks = resources.ranks};
  if (!crews && section.find("crews") != nullptr) {
    demand.crews = resources.crews;
  }
  auto placed = place_crews(room_on(hosts, resources, cards), demand);
  if (!placed.ok()) {
    return mistake_at(place_of(section, {"crews", "ranks", "hosts", "hostfile"}), placed.error().message);
  }
  for (const HostFacts& host : hosts) {
    if (cards) {
      RETURN_IF_ERROR(deal_to(*placed, host, resources));
    }
  }
  return placed;
}

std::map<std::string, int> ranks_by_host(const std::vector<CrewPlace>& places) {
  std::map<std::string, int> ranks;
  for (const CrewPlace& place : places) {
    for (const PlacedRanks& part : place) {
      ranks[part.host] += part.ranks;
    }
  }
  return ranks;
}

void settle_threads(Resources& resources, const Node& section, const std::vector<HostFacts>& hosts) {
  auto ranks = ranks_by_host(resources.places);
  const bool given = section.find("threads") != nullptr;
  int threads = 0;
  for (const HostFacts& host : hosts) {
    if (ranks[host.name] > 0) {
      const int here = std::max(1, host.cores / ranks[host.name]);
      threads = threads == 0 ? here : std::min(threads, here);
    }
  }
  resources.threads = given ? resources.threads : std::max(1, threads);
  resources.crowded.clear();
  for (const HostFacts& host : hosts) {
    const std::int64_t wanted = std::int64_t{ranks[host.name]} * resources.threads;
    if (wanted > host.cores && resources.crowded.empty()) {
      resources.crowded = fmt::format(
          "{} ranks × {} threads want {} cores on host {}, but {} can be used: everything will run slower; "
          "give the "
          "host fewer slots, or lower resources.crews, ranks or threads",
          ranks[host.name], resources.threads, wanted, host.name, host.cores);
    }
  }
}

}  // namespace

Status settle_hosts(Resources& resources, const Node& section, const std::vector<HostFacts>& hosts,
                    std::optional<int> crews) {
  resources.why_cpus.clear();
  bool cards = resources.device != "cpu";
  const bool names_cards = section.find("gpus") != nullptr || section.find("ranks_per_gpu") != nullptr;
  if (const std::string none = cards ? why_no_cards(hosts) : ""; !none.empty()) {
    if (resources.device == "cuda") {
      return mistake_at(place_of(section, {"device"}), fmt::format("device: {}; use 'auto' or 'cpu'", none));
    }
    cards = false;
  }
  auto placed = place_all(resources, section, hosts, cards, crews);
  if (!placed.ok() && cards && resources.device == "auto" && !names_cards) {
    resources.why_cpus = placed.error().message;
    placed = place_all(resources, section, hosts, false, crews);
  }
  if (!placed.ok()) {
    return placed.error();
  }
  resources.places = std::move(placed).value();
  resources.crews = static_cast<int>(resources.places.size());
  settle_threads(resources, section, hosts);
  return {};
}

}  // namespace regatta

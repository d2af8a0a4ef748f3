// Reads the section.
#include "cluster/resources.h"

#include <fmt/format.h>

#include <algorithm>

#include "devices/assignment.h"
#include "experiment/section.h"

namespace regatta {
namespace {

constexpr std::int64_t kMost = 1'000'000;  // keeps products of two counts within 64 bits

int count(Section& section, std::string_view key, std::optional<std::int64_t> fallback) {
  return static_cast<int>(section.integer(key, {.fallback = fallback, .min = 1, .max = kMost}));
}

int threads_of(std::int64_t cores, const Resources& resources) {
  return static_cast<int>(
      std::max<std::int64_t>(1, cores / (std::int64_t{resources.crews} * resources.ranks)));
}

// `gpus: 2` is how many a crew gets; `gpus: [0, 3]` is which ones are there for all.
void read_gpus(Section& section, Resources& resources) {
  const Node* gpus = section.child("gpus");
  if (gpus == nullptr) {
    return;
  }
  if (!gpus->is_sequence()) {
    if (const auto number = section.take(read_integer(*gpus, {.min = 1, .max = kMost}))) {
      resources.gpus_a_crew = static_cast<int>(*number);
    }
    return;
  }
  for (const Node& item : gpus->items()) {
    const auto card = section.take(read_integer(item, {.min = 0, .max = kMost}));
    if (!card) {
      return;
    }
    if (std::ranges::find(resources.gpus, *card) != resources.gpus.end()) {
      section.mistake(item.place(), fmt::format("gpus: card {} is named twice", *card));
    }
    resources.gpus.push_back(static_cast<int>(*card));
  }
  if (resources.gpus.empty()) {
    section.mistake(gpus->place(),
                    "gpus: name at least one card, or leave it out to use all; for none set device: cpu");
  }
}

// The cards that the study may use.
Result<std::vector<int>> allowed_cards(const Resources& resources, const Node& node, const HostCards& host) {
  std::vector<int> cards = resources.gpus;
  if (cards.empty()) {
    for (int card = 0; card < host.count; ++card) {
      cards.push_back(card);
    }
    return cards;
  }
  const Node* gpus = node.find("gpus");
  for (std::size_t i = 0; i < cards.size(); ++i) {
    if (cards[i] >= host.count) {
      return mistake_at(
          gpus->items()[i].place(),
          fmt::format("gpus: there is no card {} on host {}, which has {} (counted from 0): `regatta "
                      "devices` lists them",
                      cards[i], host.host, host.count));
    }
  }
  return cards;
}

// Where a mistake about cards is to be seen.
Place place_of_cards(const Node& node) {
  for (const char* key : {"gpus", "device", "ranks_per_gpu", "ranks", "crews"}) {
    if (const Node* found = node.find(key)) {
      return found->place();
    }
  }
  return node.place();
}

// Whether the file speaks of cards, other than by `device`.
bool names_cards(const Node& node) {
  return node.find("gpus") != nullptr || node.find("ranks_per_gpu") != nullptr;
}

// Which hosts, and how they are reached.
void read_network(Section& section, Resources& resources) {
  resources.hosts = read_hosts(section);
  resources.agent = section.text("agent", "");
  resources.interface = section.text("interface", "");
  resources.mpirun = section.texts("mpirun", std::vector<std::string>{});
  if (const Node* agent = section.child("agent"); agent != nullptr && resources.hosts.empty()) {
    section.mistake(agent->place(),
                    "agent: there is no other host to reach: name some as `hosts`, or leave it out");
  }
}

// Until the hosts have told how many cores they have: what their slots say.
int crews_on_hosts(const Resources& resources) {
  std::vector<RoomOnHost> room;
  for (const HostSlots& host : resources.hosts) {
    room.push_back({.host = host.name, .slots = std::max(1, host.slots)});
  }
  const auto placed = place_crews(room, {.crews = {}, .ranks = resources.ranks});
  return placed.ok() ? static_cast<int>(placed->size()) : 1;
}

}  // namespace

Result<Resources> read_resources(const Node& node, int cores) {
  Section section(node, "resources");
  Resources resources;
  resources.ranks = count(section, "ranks", 1);
  const auto threads = section.optional_integer("threads", {.min = 1, .max = kMost});
  const std::int64_t cores_a_crew = std::int64_t{resources.ranks} * threads.value_or(1);
  read_network(section, resources);
  resources.crews = count(
      section, "crews",
      resources.hosts.empty() ? std::max<std::int64_t>(1, cores / cores_a_crew) : crews_on_hosts(resources));
  resources.threads = static_cast<int>(threads.value_or(threads_of(cores, resources)));
  resources.max_attempts = count(section, "max_attempts", 3);
  resources.elastic = section.flag("elastic", true);
  resources.device = section.choice("device", {"auto", "cpu", "cuda"}, "auto");
  const Node* const lanes = section.child("lanes");
  const bool fits_lanes = lanes != nullptr && lanes->is_scalar() && lanes->text() == "auto";
  resources.lanes = fits_lanes ? kLanesThatFit : count(section, "lanes", 1);
  resources.listen = section.text("listen", "");
  resources.wire = section.choice("wire", {"fp32", "bf16", "fp16"}, "fp32");
  resources.launcher = section.choice("launcher", {"auto", "mpirun", "slurm"}, "auto");
  resources.bind = section.choice("bind", {"auto", "none"}, "auto") == "auto";
  read_gpus(section, resources);
  resources.ranks_per_gpu = count(section, "ranks_per_gpu", 1);
  if (fits_lanes && resources.ranks_per_gpu > 1) {
    section.mistake(
        lanes->place(),
        "lanes: ranks that share a card cannot each measure what room it has: give a number instead of "
        "auto, or leave ranks_per_gpu out");
  }
  RETURN_IF_ERROR(section.finish());
  return resources;
}

Status settle_devices(Resources& resources, const Node& node, const HostCards& host, int cores,
                      std::optional<int> crews) {
  resources.cards.clear();
  resources.why_cpus.clear();
  const bool has_cards = host.count > 0;
  if (resources.device == "cuda" && !has_cards) {
    return mistake_at(node.find("device")->place(),
                      fmt::format("device: there is no card for 'cuda' on host {}: {}; use 'auto' or 'cpu'",
                                  host.host, host.why_none));
  }
  if (resources.device == "cpu" || !has_cards) {
    return {};
  }
  ASSIGN_OR_RETURN(const std::vector<int> cards, allowed_cards(resources, node, host));
  CardDemand demand{.crews = resources.crews,
                    .ranks = resources.ranks,
                    .cards_a_crew = resources.gpus_a_crew,
                    .ranks_per_card = resources.ranks_per_gpu};
  if (crews || node.find("crews") != nullptr) {
    demand.crews = crews.value_or(resources.crews);
  } else {
    demand.crews = crews_for_cards(static_cast<int>(cards.size()), demand);
  }
  auto dealt = deal_cards(host.host, cards, demand);
  if (!dealt.ok() && resources.device == "auto" && !names_cards(node)) {
    resources.why_cpus = dealt.error().message;
    return {};
  }
  if (!dealt.ok()) {
    return mistake_at(place_of_cards(node), dealt.error().message);
  }
  resources.cards = std::move(dealt).value();
  resources.crews = demand.crews;
  if (node.find("threads") == nullptr) {
    resources.threads = threads_of(cores, resources);
  }
  return {};
}

std::optional<std::string> oversubscription_warning(const Resources& resources, int cores) {
  if (!resources.hosts.empty() || !resources.places.empty()) {
    return resources.crowded.empty() ? std::nullopt : std::optional(resources.crowded);
  }
  if (resources.slurm || resources.launcher == "slurm") {
    return std::nullopt;
  }
  const std::int64_t wanted = std::int64_t{resources.crews} * resources.ranks * resources.threads;
  if (wanted <= cores) {
    return std::nullopt;
  }
  return fmt::format(
      "{} crews × {} ranks × {} threads want {} cores, but {} can be used: everything will run slower; lower "
      "resources.crews, ranks or threads",
      resources.crews, resources.ranks, resources.threads, wanted, cores);
}

}  // namespace regatta

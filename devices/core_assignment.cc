// From the machine down to its caches: as long as the parts of a level have room for all that is to be
// placed, each item gets a part of its own or shares one with few others; then neighbours are cut into equal
// shares.
#include "devices/core_assignment.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

namespace regatta {
namespace {

// Who gets cores: a crew, or a rank.
struct Item {
  std::size_t number = 0;
  CpuSet near;
};

using Levels = std::array<int Core::*, 3>;
constexpr Levels kLevels{&Core::package, &Core::node, &Core::cache};

struct Group {
  std::vector<Core> cores;
  std::vector<Item> items;
};

// The parts of `cores` at a level; neighbours stay beside each other.
std::vector<Group> groups_of(std::span<const Core> cores, int Core::*level) {
  std::vector<Group> groups;
  for (const Core& core : cores) {
    if (groups.empty() || groups.back().cores.front().*level != core.*level) {
      groups.emplace_back();
    }
    groups.back().cores.push_back(core);
  }
  return groups;
}

std::size_t near_in(const Group& group, const Item& item) {
  std::size_t count = 0;
  for (const Core& core : group.cores) {
    count += intersected(core.cpus, item.near).size();
  }
  return count;
}

// The group with room for one more of `need` cores that is nearest to the item, and of several the one where
// its share is largest; nullptr: none has room.
Group* best_group(std::vector<Group>& groups, const Item& item, std::size_t need) {
  Group* best = nullptr;
  std::size_t best_near = 0;
  std::size_t best_share = 0;
  for (Group& group : groups) {
    const std::size_t items = group.items.size() + 1;
    if (items * need > group.cores.size()) {
      continue;
    }
    const std::size_t near = near_in(group, item);
    const std::size_t share = group.cores.size() / items;
    if (best == nullptr || near > best_near || (near == best_near && share > best_share)) {
      best = &group;
      best_near = near;
      best_share = share;
    }
  }
  return best;
}

// False: they do not all find room within one group each.
bool spread(std::vector<Group>& groups, std::span<const Item> items, std::size_t need) {
  for (const Item& item : items) {
    Group* const group = best_group(groups, item, need);
    if (group == nullptr) {
      return false;
    }
    group->items.push_back(item);
  }
  const bool alike = std::ranges::all_of(items, [](const Item& item) { return item.near.empty(); });
  std::size_t next = 0;
  for (Group& group : groups) {  // so that neighbouring items are in neighbouring groups
    for (Item& item : group.items) {
      if (alike) {
        item = items[next++];
      }
    }
  }
  return true;
}

using Shares = std::vector<std::vector<Core>>;  // by the item's number

// Fewer items than caches: each gets whole ones, so that what helps its threads has room beside them. Memory
// is another matter: a second node would be further away than the first.
void give_caches(std::span<const Group> caches, const std::vector<Item>& items, Shares& shares) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    std::vector<Core>& share = shares[items[i].number];
    for (std::size_t cache = i * caches.size() / items.size(); cache < (i + 1) * caches.size() / items.size();
         ++cache) {
      share.insert(share.end(), caches[cache].cores.begin(), caches[cache].cores.end());
    }
  }
}

// Items near the first cores come first.
void cut(std::span<const Core> cores, std::vector<Item> items, Shares& shares) {
  const auto first_near = [&](const Item& item) {
    std::size_t first = 0;
    while (first < cores.size() && intersected(cores[first].cpus, item.near).empty()) {
      ++first;
    }
    return first;
  };
  std::ranges::stable_sort(items, {}, first_near);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::size_t begin = i * cores.size() / items.size();
    const std::size_t end = (i + 1) * cores.size() / items.size();
    shares[items[i].number].assign(cores.begin() + static_cast<std::ptrdiff_t>(begin),
                                   cores.begin() + static_cast<std::ptrdiff_t>(end));
  }
}

// There are `need` cores for each item.
void place(std::span<const Core> cores, const std::vector<Item>& items, std::size_t need, std::size_t level,
           Shares& shares) {
  if (items.empty()) {
    return;
  }
  if (level == kLevels.size()) {
    cut(cores, items, shares);
    return;
  }
  std::vector<Group> groups = groups_of(cores, kLevels[level]);
  if (!spread(groups, items, need)) {
    cut(cores, items, shares);
    return;
  }
  if (kLevels[level] == &Core::cache && items.size() < groups.size()) {
    give_caches(groups, items, shares);
    return;
  }
  for (const Group& group : groups) {
    place(group.cores, group.items, need, level + 1, shares);
  }
}

Shares place(std::span<const Core> cores, const std::vector<Item>& items, std::size_t need) {
  Shares shares(items.size());
  place(cores, items, need, 0, shares);
  return shares;
}

std::vector<Item> items_without_cards(int count) {
  std::vector<Item> items(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < items.size(); ++i) {
    items[i].number = i;
  }
  return items;
}

std::vector<Core> hardware_threads(std::span<const Core> cores) {
  std::vector<Core> threads;
  for (const Core& core : cores) {
    for (const int cpu : core.cpus) {
      threads.push_back(core);
      threads.back().cpus = {cpu};
    }
  }
  return threads;
}

CpuSet cpus_in(std::span<const Core> cores) {
  CpuSet cpus;
  for (const Core& core : cores) {
    cpus = united(cpus, core.cpus);
  }
  return cpus;
}

RankCpus crew_of(std::span<const std::vector<Core>> ranks) {
  RankCpus crew;
  for (const std::vector<Core>& cores : ranks) {
    crew.push_back(cpus_in(cores));
  }
  return crew;
}

// What can be dealt one by one, so that there is enough: cores, else hardware threads, else nothing.
std::vector<Core> enough_of(std::span<const Core> cores, const CoreDemand& demand) {
  const std::int64_t wanted = std::int64_t{demand.crews} * demand.ranks * demand.threads;
  if (wanted <= static_cast<std::int64_t>(cores.size())) {
    return {cores.begin(), cores.end()};
  }
  std::vector<Core> threads = hardware_threads(cores);
  return wanted <= static_cast<std::int64_t>(threads.size()) ? threads : std::vector<Core>();
}

}  // namespace

std::vector<RankCpus> deal_cores(std::span<const Core> cores, const CoreDemand& demand,
                                 std::span<const CpuSet> near) {
  const std::vector<Core> places = enough_of(cores, demand);
  if (places.empty()) {
    return {};
  }
  const auto threads = static_cast<std::size_t>(demand.threads);
  const auto ranks = static_cast<std::size_t>(demand.ranks);
  std::vector<RankCpus> crews;
  if (!near.empty()) {
    std::vector<Item> items = items_without_cards(demand.crews * demand.ranks);
    for (Item& item : items) {
      item.near = near[item.number];
    }
    const Shares shares = place(places, items, threads);
    for (std::size_t first = 0; first < shares.size(); first += ranks) {
      crews.push_back(crew_of(std::span(shares).subspan(first, ranks)));
    }
    return crews;
  }
  for (const std::vector<Core>& crew : place(places, items_without_cards(demand.crews), ranks * threads)) {
    crews.push_back(crew_of(place(crew, items_without_cards(demand.ranks), threads)));
  }
  return crews;
}

}  // namespace regatta

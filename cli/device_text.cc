// For `regatta devices` and `regatta status`.
#include "cli/device_text.h"

#include <fmt/format.h>

#include <vector>

#include "cli/table.h"

namespace regatta {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

std::string describe_card(int index, const FoundDevices& found) {
  const auto place = static_cast<std::size_t>(index);
  return place < found.cards.size() ? fmt::format("{} ({})", index, found.cards[place].name)
                                    : std::to_string(index);
}

// A crew of several ranks with fewer cards than ranks begins again with the first; one with more uses them
// all.
std::string cards_of_rank(const std::vector<int>& crew, int rank, int ranks, const FoundDevices& found) {
  std::vector<std::string> cards;
  for (std::size_t j = static_cast<std::size_t>(rank) % crew.size(); j < crew.size();
       j += static_cast<std::size_t>(ranks)) {
    cards.push_back(describe_card(crew[j], found));
  }
  return fmt::format("{}", fmt::join(cards, ", "));
}

std::string describe_cards_of_rank(const Resources& resources, int crew, int rank,
                                   const FoundDevices& found) {
  if (!resources.cards.empty()) {
    return cards_of_rank(resources.cards[static_cast<std::size_t>(crew)], rank, resources.ranks, found);
  }
  return resources.on_cards() ? "as Slurm gives" : "none: on CPUs";
}

std::string cpus_of_rank(const Resources& resources, int crew, int rank) {
  return resources.cpus.empty()
             ? "any"
             : format_cpus(resources.cpus[static_cast<std::size_t>(crew)][static_cast<std::size_t>(rank)]);
}

}  // namespace

std::string format_memory(std::uint64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGiB);
}

std::string describe(const CardLoad& load) {
  std::string text;
  if (load.memory_bytes) {
    text = fmt::format(", card: {} in use", format_memory(*load.memory_bytes));
  }
  if (load.utilization) {
    text += fmt::format(", {}{:.0f} % busy", load.memory_bytes ? "" : "card: ", *load.utilization * 100);
  }
  return text;
}

std::string describe_crews(const Resources& resources, const FoundDevices& found) {
  Table table({{"crew", Table::Align::right},
               {"rank", Table::Align::right},
               {"card"},
               {"threads", Table::Align::right},
               {"CPUs"}});
  for (int crew = 0; crew < resources.crews; ++crew) {
    for (int rank = 0; rank < resources.ranks; ++rank) {
      table.add({std::to_string(crew), std::to_string(rank),
                 describe_cards_of_rank(resources, crew, rank, found), std::to_string(resources.threads),
                 cpus_of_rank(resources, crew, rank)});
    }
  }
  return table.str("  ");
}

}  // namespace regatta

// Crews take cards in turns, so that each gets neighbouring ones and all cards get the same number of ranks.
#include "devices/assignment.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

namespace regatta {
namespace {

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// Of a host with `cards` cards.
std::size_t cards_of_crew(std::size_t cards, const CardDemand& demand) {
  return std::min(cards, static_cast<std::size_t>(demand.cards_a_crew.value_or(demand.ranks)));
}

// How many of a crew's ranks use its j-th card. A card that was asked for beyond one a rank is a rank's too:
// a program may use several.
std::size_t ranks_on(std::size_t j, std::size_t cards, int ranks) {
  const auto count = static_cast<std::size_t>(ranks);
  return std::max<std::size_t>(1, count / cards + (j < count % cards ? 1 : 0));
}

Error too_few(const std::string& host, std::size_t cards, const CardDemand& demand, std::size_t most) {
  const auto ranks = static_cast<std::size_t>(demand.crews) * static_cast<std::size_t>(demand.ranks);
  const std::string asked =
      demand.cards_a_crew
          ? fmt::format("{} of {} with {} each", counted(static_cast<std::size_t>(demand.crews), "crew"),
                        counted(static_cast<std::size_t>(demand.ranks), "rank"),
                        counted(static_cast<std::size_t>(*demand.cards_a_crew), "card"))
          : fmt::format("{} ({} of {})", counted(ranks, "rank"),
                        counted(static_cast<std::size_t>(demand.crews), "crew"),
                        counted(static_cast<std::size_t>(demand.ranks), "rank"));
  return user_mistake(fmt::format(
      "host {} has {} for {}, and {} may use a card at once: lower resources.crews, ranks or gpus, or let "
      "ranks share cards with resources.ranks_per_gpu: {}",
      host, counted(cards, "card"), asked, counted(static_cast<std::size_t>(demand.ranks_per_card), "rank"),
      most));
}

}  // namespace

int crews_for_cards(int cards, const CardDemand& demand) {
  const std::int64_t places = std::int64_t{cards} * demand.ranks_per_card;
  const std::int64_t a_crew = std::max<std::int64_t>(demand.ranks, demand.cards_a_crew.value_or(1));
  return static_cast<int>(std::max<std::int64_t>(1, places / a_crew));
}

Result<std::vector<std::vector<int>>> deal_cards(const std::string& host, std::span<const int> cards,
                                                 const CardDemand& demand) {
  CHECK(!cards.empty());
  if (demand.cards_a_crew && static_cast<std::size_t>(*demand.cards_a_crew) > cards.size()) {
    return user_mistake(fmt::format("host {} has {}, and resources.gpus asks for {} a crew: ask for fewer",
                                    host, counted(cards.size(), "card"), *demand.cards_a_crew));
  }
  const std::size_t a_crew = cards_of_crew(cards.size(), demand);
  std::vector<std::size_t> ranks(cards.size(), 0);
  std::vector<std::vector<int>> dealt(static_cast<std::size_t>(demand.crews));
  std::size_t next = 0;
  for (std::vector<int>& crew : dealt) {
    for (std::size_t j = 0; j < a_crew; ++j) {
      const std::size_t card = next++ % cards.size();
      crew.push_back(cards[card]);
      ranks[card] += ranks_on(j, a_crew, demand.ranks);
    }
  }
  const std::size_t most = *std::ranges::max_element(ranks);
  if (most > static_cast<std::size_t>(demand.ranks_per_card)) {
    return too_few(host, cards.size(), demand, most);
  }
  return dealt;
}

Result<std::vector<int>> cards_of_ranks(std::span<const RankSeat> ranks, int ranks_per_card) {
  std::map<std::string, std::vector<std::size_t>> on_host;
  std::vector<int> result(ranks.size(), 0);
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    std::vector<std::size_t>& here = on_host[ranks[rank].host];
    if (ranks[rank].cards > 0) {
      result[rank] = static_cast<int>(here.size() % static_cast<std::size_t>(ranks[rank].cards));
    }
    here.push_back(rank);
  }
  for (const auto& [host, here] : on_host) {
    std::size_t cards =
        ranks[here.front()].cards < 0 ? 0 : static_cast<std::size_t>(ranks[here.front()].cards);
    for (const std::size_t rank : here) {
      cards = std::min(cards, static_cast<std::size_t>(std::max(0, ranks[rank].cards)));
    }
    if (here.size() > cards * static_cast<std::size_t>(ranks_per_card)) {
      return user_mistake(fmt::format(
          "host {} has {} for {} of the crew ({}), and {} may use a card at once: give the host fewer "
          "ranks, or let ranks share cards with resources.ranks_per_gpu",
          host, counted(cards, "card"), counted(here.size(), "rank"), fmt::join(here, ", "),
          counted(static_cast<std::size_t>(ranks_per_card), "rank")));
    }
  }
  return result;
}

std::optional<std::string> describe_shared_card(std::span<const RankCard> ranks) {
  std::map<std::pair<std::string, std::string>, std::size_t> holder;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const auto [found, is_new] = holder.try_emplace({ranks[rank].host, ranks[rank].bus}, rank);
    if (!is_new) {
      return fmt::format("ranks {} and {} of the crew both have card {} of host {}", found->second, rank,
                         ranks[rank].bus, ranks[rank].host);
    }
  }
  return std::nullopt;
}

std::string visible_devices(const std::optional<std::string>& inherited, std::span<const int> cards) {
  if (!inherited) {
    return fmt::format("{}", fmt::join(cards, ","));
  }
  std::vector<std::string> entries;
  for (std::size_t begin = 0; begin <= inherited->size();) {
    const std::size_t end = std::min(inherited->find(',', begin), inherited->size());
    entries.push_back(inherited->substr(begin, end - begin));
    begin = end + 1;
  }
  std::vector<std::string> visible;
  for (const int card : cards) {
    const auto index = static_cast<std::size_t>(card);
    CHECK(index < entries.size(), "CUDA shows no more cards than CUDA_VISIBLE_DEVICES names");
    visible.push_back(entries[index]);
  }
  return fmt::format("{}", fmt::join(visible, ","));
}

}  // namespace regatta

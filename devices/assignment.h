// Which cards each crew gets, and which one each rank uses. Decisions only: what is there is passed in.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace regatta {

// What the crews of one host ask for.
struct CardDemand {
  int crews = 1;
  int ranks = 1;                    // a crew
  std::optional<int> cards_a_crew;  // by default one a rank, or all there are where these are fewer
  int ranks_per_card = 1;           // that may share it, be they of one crew or of several
};

// How many crews fit on so many cards; at least 1.
int crews_for_cards(int cards, const CardDemand& demand);

// A list for each crew, of numbers out of `cards`. A crew's own cards are all different where they can be;
// rank r of a crew uses the r-th, and begins again where there are fewer. Refused where a card would have
// more ranks than may share it: a sentence that names host and ranks.
Result<std::vector<std::vector<int>>> deal_cards(const std::string& host, std::span<const int> cards,
                                                 const CardDemand& demand);

// Where a rank of a crew runs, and how many cards it sees there.
struct RankSeat {
  std::string host;
  int cards = 0;
};

// By rank: the index of its card among those that it sees. Ranks on one host take them in turns. Refused
// where there are fewer than are needed.
Result<std::vector<int>> cards_of_ranks(std::span<const RankSeat> ranks, int ranks_per_card);

// Which card a rank has in fact, by its bus.
struct RankCard {
  std::string host;
  std::string bus;
};

// The first two ranks that have the same card, in words; nullopt: each has its own.
std::optional<std::string> describe_shared_card(std::span<const RankCard> ranks);

// CUDA_VISIBLE_DEVICES for a process that is to see only `cards`, counted as this process counts.
// `inherited`: the variable as it is, whose entries may be numbers or names (GPU-…, MIG-…).
std::string visible_devices(const std::optional<std::string>& inherited, std::span<const int> cards);

}  // namespace regatta

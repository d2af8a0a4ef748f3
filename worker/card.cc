// The ranks tell each other where they are and how many cards they see there.
#include "worker/card.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "base/host.h"
#include "base/log.h"
#include "devices/assignment.h"

namespace regatta {
namespace {

// Plain bytes, to be gathered.
struct Seat {
  std::array<char, 256> host{};
  int cards = 0;
};

}  // namespace

Result<Card> choose_card(Communicator& crew, int ranks_per_gpu) {
  const FoundDevices found = find_devices();
  Seat mine{.host = {}, .cards = static_cast<int>(found.cards.size())};
  const std::string host = host_name();
  std::memcpy(mine.host.data(), host.data(), std::min(host.size(), mine.host.size() - 1));
  std::vector<Seat> gathered(static_cast<std::size_t>(crew.size()));
  RETURN_IF_ERROR(
      crew.allgather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(gathered))));
  std::vector<RankSeat> seats;
  for (const Seat& seat : gathered) {
    seats.push_back({.host = seat.host.data(), .cards = seat.cards});
  }
  const auto cards = cards_of_ranks(seats, ranks_per_gpu);
  if (!cards.ok()) {
    return found.why_none.empty()
               ? cards.error()
               : user_mistake(fmt::format("{}: {}", cards.error().message, found.why_none));
  }
  const Card& card = found.cards[static_cast<std::size_t>((*cards)[static_cast<std::size_t>(crew.rank())])];
  spdlog::info("rank {} computes on card {} ({}, {})", crew.rank(), card.index, card.name, card.bus);
  return card;
}

}  // namespace regatta

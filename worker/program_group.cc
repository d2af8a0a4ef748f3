// Host names are exchanged; the leader asks the kernel for a free port.
#include "worker/program_group.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "base/host.h"

namespace regatta {
namespace {

struct Card {
  std::array<char, 256> host{};
  std::int32_t port = 0;
};

// 0: none could be had.
int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof(address);
  const bool bound = descriptor >= 0 &&
                     ::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
                     ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (descriptor >= 0) {
    ::close(descriptor);
  }
  return bound ? ntohs(address.sin_port) : 0;
}

}  // namespace

Result<RankPlace> find_rank_place(Communicator& communicator) {
  const auto rank = static_cast<std::size_t>(communicator.rank());
  Card mine;
  host_name().copy(mine.host.data(), mine.host.size() - 1);
  mine.port = communicator.rank() == 0 ? free_port() : 0;
  std::vector<Card> cards(static_cast<std::size_t>(communicator.size()));
  RETURN_IF_ERROR(
      communicator.allgather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(cards))));
  RankPlace place{.local_ranks = 0, .leader_port = cards[0].port};
  for (std::size_t other = 0; other < cards.size(); ++other) {
    const bool is_here = std::strcmp(cards[other].host.data(), mine.host.data()) == 0;
    place.local_ranks += is_here ? 1 : 0;
    place.local_rank += is_here && other < rank ? 1 : 0;
  }
  const bool one_host = place.local_ranks == communicator.size();
  place.leader_address = one_host ? "127.0.0.1" : cards[0].host.data();
  return place;
}

}  // namespace regatta

// What comes before a communicator: names, places, an environment.
#include "collectives/cuda/nccl_calls.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "base/host.h"
#include "collectives/cuda/stream_events.h"
#include "devices/assignment.h"

namespace regatta {
namespace {

// Plain bytes, to be gathered.
struct Place {
  std::array<char, 256> host{};
  std::array<char, 32> bus{};
};

template <std::size_t size>
void copy_text(std::array<char, size>& to, std::string_view from) {
  std::memcpy(to.data(), from.data(), std::min(from.size(), size - 1));
}

struct SharedId {
  ncclResult_t code = ncclSuccess;
  ncclUniqueId id{};
};

}  // namespace

std::string nccl_text(ncclResult_t code, ncclComm_t communicator) {
  const char* last = ncclGetLastError(communicator);
  const std::string_view words = last == nullptr ? "" : last;
  return fmt::format("NCCL says: {}{}", ncclGetErrorString(code),
                     words.empty() ? "" : fmt::format(" ({})", words));
}

ncclResult_t nccl_state(ncclComm_t communicator) {
  ncclResult_t state = ncclSuccess;
  const ncclResult_t asked = ncclCommGetAsyncError(communicator, &state);
  return asked == ncclSuccess ? state : asked;
}

void look_like_another_host(int rank, bool one_host) {
  const std::string host = fmt::format("{}-rank{}", host_name(), rank);
  std::vector<std::pair<const char*, const char*>> variables = {{"NCCL_HOSTID", host.c_str()},
                                                                {"NCCL_NET", "Socket"},
                                                                {"NCCL_MNNVL_ENABLE", "0"},
                                                                {"NCCL_ALGO", "Ring"},
                                                                {"NCCL_PROTO", "Simple"},
                                                                // All ranks' kernels must fit at once.
                                                                {"NCCL_MAX_CTAS", "2"}};
  if (one_host) {
    variables.emplace_back("NCCL_SOCKET_IFNAME", "lo");
  }
  for (const auto& [name, value] : variables) {
    ::setenv(name, value, 0);
  }
}

Result<ncclUniqueId> share_unique_id(Communicator& crew) {
  SharedId shared;
  if (crew.rank() == 0) {
    shared.code = ncclGetUniqueId(&shared.id);
  }
  RETURN_IF_ERROR(crew.broadcast(std::as_writable_bytes(std::span(&shared, 1)), 0));
  if (shared.code != ncclSuccess) {
    return failure(fmt::format("rank 0 cannot open a communicator: {}", nccl_text(shared.code, nullptr)));
  }
  return shared.id;
}

Result<Seating> seat_ranks(Communicator& crew, int card) {
  Place mine;
  copy_text(mine.host, host_name());
  Status seated = check_cuda(cudaSetDevice(card), "cudaSetDevice");
  if (seated.ok()) {
    seated = check_cuda(cudaDeviceGetPCIBusId(mine.bus.data(), static_cast<int>(mine.bus.size()), card),
                        "cudaDeviceGetPCIBusId");
  }
  // A rank without a card takes part too, so that the others learn of it.
  std::vector<Place> places(static_cast<std::size_t>(crew.size()));
  RETURN_IF_ERROR(
      crew.allgather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(places))));
  RETURN_IF_ERROR(seated);
  std::vector<RankCard> cards;
  Seating seating;
  for (const Place& place : places) {
    if (place.bus.front() == '\0') {
      return failure(fmt::format("rank {} of the crew, on host {}, cannot use its card", cards.size(),
                                 place.host.data()));
    }
    cards.push_back({.host = place.host.data(), .bus = place.bus.data()});
    seating.one_host = seating.one_host && cards.back().host == cards.front().host;
  }
  seating.shared = describe_shared_card(cards);
  return seating;
}

}  // namespace regatta

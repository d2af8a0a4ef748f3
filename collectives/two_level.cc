// Making the groups, and the two levels of a sum.
#include "collectives/two_level.h"

#include <algorithm>

namespace regatta {
namespace {

std::vector<int> ranks_within(MPI_Comm crew, MPI_Comm group) {
  int rank = 0;
  int size = 1;
  MPI_Comm_rank(crew, &rank);
  MPI_Comm_size(group, &size);
  std::vector<int> ranks(static_cast<std::size_t>(size));
  MPI_Allgather(&rank, 1, MPI_INT, ranks.data(), 1, MPI_INT, group);
  return ranks;
}

int over_all(MPI_Comm crew, int value, MPI_Op operation) {
  MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, operation, crew);
  return value;
}

}  // namespace

std::unique_ptr<Communicator> TwoLevelCommunicator::make(MPI_Comm crew, int host, Microseconds free_limit) {
  std::unique_ptr<TwoLevelCommunicator> made(new TwoLevelCommunicator);
  made->crew_ = crew;
  int rank = 0;
  int size = 1;
  MPI_Comm_rank(crew, &rank);
  MPI_Comm_size(crew, &size);
  made->log_ = std::make_shared<OperationLog>(rank, size);
  MPI_Comm here = MPI_COMM_NULL;
  MPI_Comm_split(crew, host, rank, &here);
  made->host_ = HostRanks::make(here, ranks_within(crew, here), free_limit, *made->log_);
  if (over_all(crew, made->host_ != nullptr ? 1 : 0, MPI_MIN) == 0) {
    if (made->host_ == nullptr) {
      MPI_Comm_free(&here);
    }
    return nullptr;
  }
  made->sharers_ = over_all(crew, made->host_->size(), MPI_MIN);
  const bool shares = made->host_->rank() < made->sharers_;
  MPI_Comm across = MPI_COMM_NULL;
  MPI_Comm_split(crew, shares ? made->host_->rank() : MPI_UNDEFINED, rank, &across);
  if (shares) {
    made->across_ = std::make_unique<AcrossHosts>(across, ranks_within(crew, across), *made->log_);
  }
  made->messages_ = std::make_unique<MpiCommunicator>(crew, made->log_);
  return made;
}

// MPI has no limit for making a window: the ranks meet first, so that all of them are there.
Result<std::unique_ptr<FloatMemory>> TwoLevelCommunicator::allocate(std::size_t floats, int rows) {
  RETURN_IF_ERROR(messages_->barrier({.timeout = kFileLimit}));
  auto memory = host_->allocate(floats, rows, sharers_);
  if (over_all(crew_, memory.ok() ? 1 : 0, MPI_MIN) == 0) {
    return Communicator::allocate(floats, rows);
  }
  return memory;
}

Status TwoLevelCommunicator::allreduce(std::span<float> data, const CollectiveOptions& options) {
  const HostRanks::Place place = host_->place_of(data);
  if (place.window == nullptr) {
    return messages_->allreduce(data, options);
  }
  ASSIGN_OR_RETURN(const Operation operation, log_->begin("allreduce", data.size_bytes(), options));
  const ShareFunction give_to_peers = [&](std::size_t begin, std::size_t end) {
    for (int peer = 0; peer < host_->size(); ++peer) {
      if (peer != host_->rank()) {
        std::copy(data.data() + begin, data.data() + end, host_->floats_of(peer, place) + begin);
      }
    }
  };
  RETURN_IF_ERROR(sum_own_shares(place, data, give_to_peers, options, operation));
  return host_->meet(operation);  // every share is here
}

Status TwoLevelCommunicator::sum_shares(std::span<float> data, const ShareFunction& use,
                                        const CollectiveOptions& options) {
  const HostRanks::Place place = host_->place_of(data);
  if (place.window == nullptr) {
    return Communicator::sum_shares(data, use, options);
  }
  ASSIGN_OR_RETURN(const Operation operation, log_->begin("sum_shares", data.size_bytes(), options));
  return sum_own_shares(place, data, use, options, operation);
}

// The tiles of a share are brought together, so that they travel as one.
Status TwoLevelCommunicator::sum_own_shares(const HostRanks::Place& place, std::span<float> data,
                                            const ShareFunction& use, const CollectiveOptions& options,
                                            const Operation& operation) {
  RETURN_IF_ERROR(host_->meet(operation));  // every buffer of this host is final
  if (across_ == nullptr) {
    return {};
  }
  const Shares shares{place.index, data.size(), host_->rank(), sharers_};
  packed_.resize(std::max(packed_.size(), shares.tiles() * kShareTile));
  // Where a tile stands in packed_: only the first one can be short and have others behind it.
  const std::size_t first = shares.tiles() > 0 ? shares.tile(0).second - shares.tile(0).first : 0;
  const std::size_t second = shares.tiles() > 1 ? shares.tile(1).first : 0;
  const auto packed_at = [&](std::size_t begin) {
    return shares.tiles() < 2 || begin < second
               ? packed_.data()
               : packed_.data() + first + (begin - second) / static_cast<std::size_t>(sharers_);
  };
  for_shares(shares, options.threads, [&](std::size_t begin, std::size_t end) {
    host_->sum_tile(place, begin, end);
    std::copy(data.data() + begin, data.data() + end, packed_at(begin));
  });
  std::size_t count = first;
  if (shares.tiles() > 1) {
    const auto [begin, end] = shares.tile(shares.tiles() - 1);
    count = static_cast<std::size_t>(packed_at(begin) - packed_.data()) + (end - begin);
  }
  RETURN_IF_ERROR(across_->allreduce({packed_.data(), count}, options.wire, operation));
  for_shares(shares, options.threads, [&](std::size_t begin, std::size_t end) {
    std::copy_n(packed_at(begin), end - begin, data.data() + begin);
    use(begin, end);
  });
  return {};
}

Status TwoLevelCommunicator::settle(const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, log_->begin("settle", 0, options));
  return host_->meet(operation);
}

}  // namespace regatta

// Large gradients stand in shared windows and are summed in place; everything else goes through the ranks'
// slots, piece by piece. One meeting a piece: a slot is written again two pieces later, and by then every
// rank has come to the meeting between, after it read the slot.
#include "collectives/shared_memory.h"

#include <algorithm>
#include <numeric>

namespace regatta {
namespace {

constexpr std::size_t kSlotBytes = HostRanks::kSlotBytes;

}  // namespace

std::unique_ptr<Communicator> SharedMemoryCommunicator::make(MPI_Comm host, Microseconds free_limit) {
  int rank = 0;
  int size = 1;
  MPI_Comm_rank(host, &rank);
  MPI_Comm_size(host, &size);
  std::unique_ptr<SharedMemoryCommunicator> made(new SharedMemoryCommunicator(rank, size));
  std::vector<int> names(static_cast<std::size_t>(size));
  std::iota(names.begin(), names.end(), 0);
  made->host_ = HostRanks::make(host, std::move(names), free_limit, made->log_);
  return made->host_ ? std::move(made) : nullptr;
}

// MPI has no limit for making a window: the ranks meet first, so that all of them are there.
Result<std::unique_ptr<FloatMemory>> SharedMemoryCommunicator::allocate(std::size_t floats, int rows) {
  const std::size_t bytes = floats * static_cast<std::size_t>(rows) * sizeof(float);
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("allocate", bytes, {kFileLimit}));
  RETURN_IF_ERROR(host_->meet(operation));
  auto memory = host_->allocate(floats, rows, size());
  return memory.ok() ? std::move(memory) : Communicator::allocate(floats, rows);
}

Status SharedMemoryCommunicator::allreduce(std::span<float> data, const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("allreduce", data.size_bytes(), options));
  const HostRanks::Place place = host_->place_of(data);
  if (place.window == nullptr) {
    return allreduce_through_slots(data, operation);
  }
  RETURN_IF_ERROR(host_->meet(operation));  // every buffer is final
  host_->sum_slice(place, data.size());
  return host_->meet(operation);  // every slice is summed
}

Status SharedMemoryCommunicator::allreduce(std::span<double> data, const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("allreduce", data.size_bytes(), options));
  return allreduce_through_slots(data, operation);
}

Status SharedMemoryCommunicator::sum_shares(std::span<float> data, const ShareFunction& use,
                                            const CollectiveOptions& options) {
  const HostRanks::Place place = host_->place_of(data);
  if (place.window == nullptr) {
    return Communicator::sum_shares(data, use, options);
  }
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("sum_shares", data.size_bytes(), options));
  RETURN_IF_ERROR(host_->meet(operation));  // every buffer is final
  const Shares shares{place.index, data.size(), rank(), size()};
  for_shares(shares, options.threads, [&](std::size_t begin, std::size_t end) {
    host_->sum_tile(place, begin, end);
    use(begin, end);
  });
  return {};
}

Status SharedMemoryCommunicator::settle(const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("settle", 0, options));
  return host_->meet(operation);
}

template <class T>
Status SharedMemoryCommunicator::allreduce_through_slots(std::span<T> data, const Operation& operation) {
  constexpr std::size_t kElements = kSlotBytes / sizeof(T);
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(data.size() - begin, kElements);
    T* const mine = data.data() + begin;
    host_->next_piece();
    std::copy_n(mine, count, reinterpret_cast<T*>(host_->slot(rank())));
    RETURN_IF_ERROR(host_->meet(operation));
    std::copy_n(reinterpret_cast<const T*>(host_->slot(0)), count, mine);
    for (int rank = 1; rank < size(); ++rank) {
      const T* const term = reinterpret_cast<const T*>(host_->slot(rank));
      for (std::size_t i = 0; i < count; ++i) {
        mine[i] += term[i];
      }
    }
    begin += count;
  } while (begin < data.size());
  return {};
}

Status SharedMemoryCommunicator::broadcast(std::span<std::byte> data, int root,
                                           const CollectiveOptions& options) {
  CHECK(root >= 0 && root < size(), "the root is not a rank of this crew");
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("broadcast", data.size(), options));
  std::size_t begin = 0;
  do {
    const std::span<std::byte> piece = data.subspan(begin, std::min(data.size() - begin, kSlotBytes));
    host_->next_piece();
    if (rank() == root) {
      std::ranges::copy(piece, host_->slot(root));
    }
    RETURN_IF_ERROR(host_->meet(operation));
    if (rank() != root) {
      std::copy_n(host_->slot(root), piece.size(), piece.data());
    }
    begin += piece.size();
  } while (begin < data.size());
  return {};
}

Status SharedMemoryCommunicator::allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                                           const CollectiveOptions& options) {
  CHECK(gathered.size() == mine.size() * static_cast<std::size_t>(size()));
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("allgather", mine.size(), options));
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(mine.size() - begin, kSlotBytes);
    host_->next_piece();
    std::copy_n(mine.data() + begin, count, host_->slot(rank()));
    RETURN_IF_ERROR(host_->meet(operation));
    for (int rank = 0; rank < size(); ++rank) {
      std::copy_n(host_->slot(rank), count,
                  gathered.data() + static_cast<std::size_t>(rank) * mine.size() + begin);
    }
    begin += count;
  } while (begin < mine.size());
  return {};
}

// Piece by piece of the slices: a slot carries the same piece of every rank's slice.
Status SharedMemoryCommunicator::reduce_scatter(std::span<const float> data, std::span<float> slice,
                                                const CollectiveOptions& options) {
  const auto ranks = static_cast<std::size_t>(size());
  CHECK(data.size() == slice.size() * ranks);
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("reduce_scatter", data.size_bytes(), options));
  const std::size_t largest = kSlotBytes / sizeof(float) / ranks;
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(slice.size() - begin, largest);
    host_->next_piece();
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      std::copy_n(data.data() + rank * slice.size() + begin, count,
                  reinterpret_cast<float*>(host_->slot(this->rank())) + rank * count);
    }
    RETURN_IF_ERROR(host_->meet(operation));
    float* const sum = slice.data() + begin;
    std::fill_n(sum, count, 0.0F);
    for (int rank = 0; rank < size(); ++rank) {
      const float* const term =
          reinterpret_cast<const float*>(host_->slot(rank)) + static_cast<std::size_t>(this->rank()) * count;
      std::transform(sum, sum + count, term, sum, std::plus<>());
    }
    begin += count;
  } while (begin < slice.size());
  return {};
}

Status SharedMemoryCommunicator::barrier(const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, log_.begin("barrier", 0, options));
  return host_->meet(operation);
}

}  // namespace regatta

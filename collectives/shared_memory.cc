// Every rank has a mailbox: a counter of the meetings that it has come to, and two slots. A meeting costs one
// store and one look at every peer's counter. Large gradients stand in windows themselves, so that an
// allreduce copies nothing: rank r adds up slice r of all ranks' buffers and writes the sum into all of them.
#include "collectives/shared_memory.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "base/multiversion.h"
#include "collectives/mpi_collectives.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace regatta {
namespace {

constexpr std::size_t kSlotBytes = std::size_t{128} << 10;  // stays in a core's second-level cache
constexpr std::size_t kLine = 128;                          // what neighbouring cores fetch together
constexpr std::size_t kTile = 2048;                         // floats that are summed at a time
// A peer that is nearly there comes within some hundred looks; after that it may need this very core, as it
// does at once where there are more ranks than cores.
constexpr int kLooks = 500;
constexpr int kYields = 5000;
constexpr Microseconds kSleep{50};

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

std::size_t rounded_up(std::size_t value, std::size_t unit) { return (value + unit - 1) / unit * unit; }

REGATTA_MULTIVERSION
void add_to(float* __restrict sum, const float* __restrict term, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    sum[i] += term[i];
  }
}

// Both buffers get the sum of the two.
REGATTA_MULTIVERSION
void sum_both(float* __restrict first, float* __restrict second, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float sum = first[i] + second[i];
    first[i] = sum;
    second[i] = sum;
  }
}

// Rank r's part of `count` elements, cut at cache lines so that no two ranks write to one.
struct Slice {
  std::size_t begin;
  std::size_t end;
};
Slice slice_of(std::size_t count, int rank, int ranks) {
  constexpr std::size_t kUnit = kLine / sizeof(float);
  const std::size_t units = (count + kUnit - 1) / kUnit;
  const auto cut = [&](int r) {
    return std::min(count, units * static_cast<std::size_t>(r) / static_cast<std::size_t>(ranks) * kUnit);
  };
  return {cut(rank), cut(rank + 1)};
}

}  // namespace

struct SharedMemoryCommunicator::Mailbox {
  alignas(kLine) std::atomic<std::uint64_t> meetings;
  alignas(kLine) std::array<std::array<std::byte, kSlotBytes>, 2> slots;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "ranks are processes: they share no lock");

struct SharedMemoryCommunicator::Operation {
  std::string_view name;
  std::size_t bytes;
  Microseconds timeout;
  Deadline deadline;
};

Result<std::unique_ptr<SharedWindow>> SharedWindow::make(MPI_Comm communicator, std::size_t bytes) {
  const std::size_t rounded = rounded_up(std::max<std::size_t>(bytes, 1), page_bytes());
  int ranks = 1;
  MPI_Comm_size(communicator, &ranks);
  MPI_Info info = MPI_INFO_NULL;
  MPI_Info_create(&info);
  MPI_Info_set(info, "alloc_shared_noncontig", "true");  // segments begin at pages of their own
  void* mine = nullptr;
  MPI_Win window = MPI_WIN_NULL;
  int made = MPI_Win_allocate_shared(static_cast<MPI_Aint>(rounded), 1, info, communicator, &mine, &window) ==
                     MPI_SUCCESS
                 ? 1
                 : 0;
  MPI_Info_free(&info);
  MPI_Allreduce(MPI_IN_PLACE, &made, 1, MPI_INT, MPI_MIN, communicator);
  if (made == 0) {
    if (window != MPI_WIN_NULL) {
      MPI_Win_free(&window);
    }
    return failure(fmt::format("the ranks cannot share {} bytes of memory each; is /dev/shm full?", rounded));
  }
  std::memset(mine, 0, rounded);
  MPI_Barrier(communicator);
  std::vector<std::byte*> segments;
  for (int rank = 0; rank < ranks; ++rank) {
    MPI_Aint size = 0;
    int unit = 0;
    void* segment = nullptr;
    MPI_Win_shared_query(window, rank, &size, &unit, &segment);
    segments.push_back(static_cast<std::byte*>(segment));
  }
  return std::unique_ptr<SharedWindow>(new SharedWindow(window, std::move(segments), rounded));
}

// After an error a peer may be gone, and MPI would wait for it.
SharedWindow::~SharedWindow() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized == 0 && !MpiCommunicator::any_broken()) {
    MPI_Win_free(&window_);
  }
}

// Memory of one rank, seen by all. Not to be destroyed after its communicator.
class SharedMemoryCommunicator::Allocation final : public FloatMemory {
 public:
  Allocation(SharedMemoryCommunicator& owner, std::unique_ptr<SharedWindow> window, std::size_t floats)
      : owner_(owner), window_(std::move(window)), floats_(floats) {
    owner_.allocations_.push_back(window_.get());
  }
  ~Allocation() override { std::erase(owner_.allocations_, window_.get()); }

  std::span<float> floats() override {
    return {reinterpret_cast<float*>(window_->segment(owner_.rank_)), floats_};
  }

 private:
  SharedMemoryCommunicator& owner_;
  std::unique_ptr<SharedWindow> window_;
  std::size_t floats_;
};

std::unique_ptr<Communicator> SharedMemoryCommunicator::make(MPI_Comm communicator, bool owns) {
  MPI_Comm_set_errhandler(communicator, MPI_ERRORS_RETURN);
  int ranks = 1;
  MPI_Comm_size(communicator, &ranks);
  MPI_Comm host = MPI_COMM_NULL;
  if (MPI_Comm_split_type(communicator, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host) != MPI_SUCCESS) {
    return nullptr;
  }
  int here = 1;
  MPI_Comm_size(host, &here);
  MPI_Comm_free(&host);
  MPI_Allreduce(MPI_IN_PLACE, &here, 1, MPI_INT, MPI_MIN, communicator);
  if (here < ranks) {
    return nullptr;
  }
  auto mailboxes = SharedWindow::make(communicator, sizeof(Mailbox));
  if (!mailboxes.ok()) {
    return nullptr;
  }
  return std::unique_ptr<Communicator>(
      new SharedMemoryCommunicator(communicator, owns, std::move(mailboxes).value()));
}

SharedMemoryCommunicator::SharedMemoryCommunicator(MPI_Comm communicator, bool owns,
                                                   std::unique_ptr<SharedWindow> mailboxes)
    : communicator_(communicator), owns_(owns), mailboxes_(std::move(mailboxes)) {
  MPI_Comm_rank(communicator_, &rank_);
  MPI_Comm_size(communicator_, &size_);
  looks_ = size_ <= static_cast<int>(std::thread::hardware_concurrency()) ? kLooks : 0;
}

SharedMemoryCommunicator::~SharedMemoryCommunicator() {
  CHECK(allocations_.empty(), "memory outlives its communicator");
  mailboxes_.reset();
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (owns_ && finalized == 0 && !MpiCommunicator::any_broken()) {
    MPI_Comm_free(&communicator_);
  }
}

// The window's memory is zero from the start, and that is a counter at zero: all that a mailbox needs.
SharedMemoryCommunicator::Mailbox& SharedMemoryCommunicator::mailbox(int rank) const {
  return *reinterpret_cast<Mailbox*>(mailboxes_->segment(rank));
}

std::byte* SharedMemoryCommunicator::slot(int rank) const { return mailbox(rank).slots[pieces_ % 2].data(); }

Result<SharedMemoryCommunicator::Operation> SharedMemoryCommunicator::begin(
    std::string_view name, std::size_t bytes, const CollectiveOptions& options) {
  ++sequence_;
  if (!first_error_.empty()) {
    return failure(fmt::format("rank {} of {}: {} #{} cannot start after an earlier error: {}", rank_, size_,
                               name, sequence_, first_error_));
  }
  return Operation{name, bytes, options.timeout, Deadline(clock_, options.timeout)};
}

Status SharedMemoryCommunicator::meet(const Operation& operation) {
  ++meetings_;
  mailbox(rank_).meetings.store(meetings_, std::memory_order_release);
  for (int peer = 0; peer < size_; ++peer) {
    RETURN_IF_ERROR(wait_for(peer, operation));
  }
  return {};
}

Status SharedMemoryCommunicator::wait_for(int peer, const Operation& operation) {
  const std::atomic<std::uint64_t>& came = mailbox(peer).meetings;
  for (int looks = 0; came.load(std::memory_order_acquire) < meetings_; ++looks) {
    if (looks < looks_) {
      relax();
      continue;
    }
    if (operation.deadline.passed()) {
      return broken_by(operation);
    }
    if (looks < looks_ + kYields) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(kSleep);
    }
  }
  return {};
}

Error SharedMemoryCommunicator::broken_by(const Operation& operation) {
  std::string missing;
  for (int peer = 0; peer < size_; ++peer) {
    if (mailbox(peer).meetings.load(std::memory_order_acquire) < meetings_) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", peer);
    }
  }
  const std::chrono::duration<double> seconds = operation.timeout;
  first_error_ = fmt::format(
      "rank {} of {}: {} #{} of {} bytes did not end within {} s: dead, stuck or without part in it: rank {}",
      rank_, size_, operation.name, sequence_, operation.bytes, seconds.count(), missing);
  MpiCommunicator::mark_broken();
  return {Error::Kind::timeout, first_error_};
}

// MPI has no limit for making a window: the ranks meet first, so that all of them are there.
Result<std::unique_ptr<FloatMemory>> SharedMemoryCommunicator::allocate(std::size_t floats) {
  ASSIGN_OR_RETURN(const Operation operation, begin("allocate", floats * sizeof(float), {kFileLimit}));
  RETURN_IF_ERROR(meet(operation));
  auto window = SharedWindow::make(communicator_, floats * sizeof(float));
  if (!window.ok()) {
    return Communicator::allocate(floats);
  }
  return std::unique_ptr<FloatMemory>(std::make_unique<Allocation>(*this, std::move(window).value(), floats));
}

const SharedWindow* SharedMemoryCommunicator::window_of(std::span<const float> data) const {
  const auto* const begin = reinterpret_cast<const std::byte*>(data.data());
  for (const SharedWindow* window : allocations_) {
    const std::byte* const segment = window->segment(rank_);
    if (std::less_equal<>()(segment, begin) &&
        std::less_equal<>()(begin + data.size_bytes(), segment + window->bytes())) {
      return window;
    }
  }
  return nullptr;
}

Status SharedMemoryCommunicator::allreduce(std::span<float> data, const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, begin("allreduce", data.size_bytes(), options));
  const SharedWindow* const window = window_of(data);
  if (window == nullptr) {
    return allreduce_through_slots(data, operation);
  }
  RETURN_IF_ERROR(meet(operation));  // every buffer is final
  const auto offset =
      static_cast<std::size_t>(data.data() - reinterpret_cast<const float*>(window->segment(rank_)));
  sum_in_place(*window, offset, data.size());
  return meet(operation);  // every slice is summed
}

Status SharedMemoryCommunicator::allreduce(std::span<double> data, const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, begin("allreduce", data.size_bytes(), options));
  return allreduce_through_slots(data, operation);
}

// Tile by tile, so that the terms are read from memory once: the sum in rank order grows in rank 0's buffer,
// whose tile stays in the cache, and is copied to the others.
void SharedMemoryCommunicator::sum_in_place(const SharedWindow& window, std::size_t offset,
                                            std::size_t count) {
  const auto buffer = [&](int rank) { return reinterpret_cast<float*>(window.segment(rank)) + offset; };
  const Slice slice = slice_of(count, rank_, size_);
  if (size_ == 2) {
    sum_both(buffer(0) + slice.begin, buffer(1) + slice.begin, slice.end - slice.begin);
    return;
  }
  for (std::size_t tile = slice.begin; tile < slice.end; tile += kTile) {
    const std::size_t length = std::min(kTile, slice.end - tile);
    float* const sum = buffer(0) + tile;
    for (int rank = 1; rank < size_; ++rank) {
      add_to(sum, buffer(rank) + tile, length);
    }
    for (int rank = 1; rank < size_; ++rank) {
      std::memcpy(buffer(rank) + tile, sum, length * sizeof(float));
    }
  }
}

// One meeting a piece: a slot is written again two pieces later, and by then every rank has come to the
// meeting between, after it read the slot.
template <class T>
Status SharedMemoryCommunicator::allreduce_through_slots(std::span<T> data, const Operation& operation) {
  constexpr std::size_t kElements = kSlotBytes / sizeof(T);
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(data.size() - begin, kElements);
    T* const mine = data.data() + begin;
    ++pieces_;
    std::copy_n(mine, count, reinterpret_cast<T*>(slot(rank_)));
    RETURN_IF_ERROR(meet(operation));
    std::copy_n(reinterpret_cast<const T*>(slot(0)), count, mine);
    for (int rank = 1; rank < size_; ++rank) {
      const T* const term = reinterpret_cast<const T*>(slot(rank));
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
  CHECK(root >= 0 && root < size_, "the root is not a rank of this crew");
  ASSIGN_OR_RETURN(const Operation operation, begin("broadcast", data.size(), options));
  std::size_t begin = 0;
  do {
    const std::span<std::byte> piece = data.subspan(begin, std::min(data.size() - begin, kSlotBytes));
    ++pieces_;
    if (rank_ == root) {
      std::ranges::copy(piece, slot(root));
    }
    RETURN_IF_ERROR(meet(operation));
    if (rank_ != root) {
      std::copy_n(slot(root), piece.size(), piece.data());
    }
    begin += piece.size();
  } while (begin < data.size());
  return {};
}

Status SharedMemoryCommunicator::allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                                           const CollectiveOptions& options) {
  CHECK(gathered.size() == mine.size() * static_cast<std::size_t>(size_));
  ASSIGN_OR_RETURN(const Operation operation, begin("allgather", mine.size(), options));
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(mine.size() - begin, kSlotBytes);
    ++pieces_;
    std::copy_n(mine.data() + begin, count, slot(rank_));
    RETURN_IF_ERROR(meet(operation));
    for (int rank = 0; rank < size_; ++rank) {
      std::copy_n(slot(rank), count, gathered.data() + static_cast<std::size_t>(rank) * mine.size() + begin);
    }
    begin += count;
  } while (begin < mine.size());
  return {};
}

// Piece by piece of the slices: a slot carries the same piece of every rank's slice.
Status SharedMemoryCommunicator::reduce_scatter(std::span<const float> data, std::span<float> slice,
                                                const CollectiveOptions& options) {
  const auto ranks = static_cast<std::size_t>(size_);
  CHECK(data.size() == slice.size() * ranks);
  ASSIGN_OR_RETURN(const Operation operation, begin("reduce_scatter", data.size_bytes(), options));
  const std::size_t largest = kSlotBytes / sizeof(float) / ranks;
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(slice.size() - begin, largest);
    ++pieces_;
    for (std::size_t rank = 0; rank < ranks; ++rank) {
      std::copy_n(data.data() + rank * slice.size() + begin, count,
                  reinterpret_cast<float*>(slot(rank_)) + rank * count);
    }
    RETURN_IF_ERROR(meet(operation));
    float* const sum = slice.data() + begin;
    std::fill_n(sum, count, 0.0F);
    for (int rank = 0; rank < size_; ++rank) {
      add_to(sum, reinterpret_cast<const float*>(slot(rank)) + static_cast<std::size_t>(rank_) * count,
             count);
    }
    begin += count;
  } while (begin < slice.size());
  return {};
}

Status SharedMemoryCommunicator::barrier(const CollectiveOptions& options) {
  ASSIGN_OR_RETURN(const Operation operation, begin("barrier", 0, options));
  return meet(operation);
}

}  // namespace regatta

// Every rank has a mailbox: a counter of the meetings that it has come to, and two slots. A meeting costs one
// store and one look at every peer's counter. Large gradients stand in windows themselves, so that a sum
// copies nothing: each rank adds up a part of all ranks' buffers where they stand.
#include "collectives/host_ranks.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

#include "base/host.h"
#include "base/multiversion.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace regatta {
namespace {

constexpr std::size_t kLine = 128;  // what neighbouring cores fetch together
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

// The first page that begins at or behind `address`. Processes see shared memory at addresses that differ by
// whole pages, so that it is the same one for all of them.
std::byte* at_page(void* address) {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  return static_cast<std::byte*>(address) + (rounded_up(number, page_bytes()) - number);
}

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

// Whether the ranks have a core each, as far as they can see: one that is bound to its core sees no other.
bool have_cores_enough(MPI_Comm host, int ranks) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  ::sched_getaffinity(0, sizeof cores, &cores);
  MPI_Allreduce(MPI_IN_PLACE, &cores, static_cast<int>(sizeof cores), MPI_BYTE, MPI_BOR, host);
  int enough = usable_cores() >= ranks || CPU_COUNT(&cores) >= ranks ? 1 : 0;
  MPI_Allreduce(MPI_IN_PLACE, &enough, 1, MPI_INT, MPI_MIN, host);
  return enough != 0;
}

}  // namespace

Result<std::unique_ptr<SharedWindow>> SharedWindow::make(MPI_Comm communicator, std::size_t bytes) {
  const std::size_t rounded = rounded_up(std::max<std::size_t>(bytes, 1), page_bytes());
  int ranks = 1;
  MPI_Comm_size(communicator, &ranks);
  MPI_Info info = MPI_INFO_NULL;
  MPI_Info_create(&info);
  MPI_Info_set(info, "alloc_shared_noncontig", "true");  // segments have pages of their own
  void* mine = nullptr;
  MPI_Win window = MPI_WIN_NULL;
  // Open MPI begins a segment some words behind the begin of a page, where no vector is aligned: with a page
  // more, each has an aligned part of that size.
  const auto bytes_of_mpi = static_cast<MPI_Aint>(rounded + page_bytes());
  int made =
      MPI_Win_allocate_shared(bytes_of_mpi, 1, info, communicator, &mine, &window) == MPI_SUCCESS ? 1 : 0;
  MPI_Info_free(&info);
  MPI_Allreduce(MPI_IN_PLACE, &made, 1, MPI_INT, MPI_MIN, communicator);
  if (made == 0) {
    if (window != MPI_WIN_NULL) {
      MPI_Win_free(&window);
    }
    return failure(fmt::format("the ranks cannot share {} bytes of memory each; is /dev/shm full?", rounded));
  }
  std::memset(at_page(mine), 0, rounded);
  MPI_Barrier(communicator);
  std::vector<std::byte*> segments;
  for (int rank = 0; rank < ranks; ++rank) {
    MPI_Aint size = 0;
    int unit = 0;
    void* segment = nullptr;
    MPI_Win_shared_query(window, rank, &size, &unit, &segment);
    segments.push_back(at_page(segment));
  }
  std::unique_ptr<SharedWindow> shared(new SharedWindow(window, std::move(segments), rounded));
  if (rounded >= kHugePageBytes) {
    int rank = 0;
    MPI_Comm_rank(communicator, &rank);
    shared->take_huge_pages(rank);
    MPI_Barrier(communicator);
  }
  return shared;
}

SharedWindow::SharedWindow(MPI_Win window, std::vector<std::byte*> segments, std::size_t bytes)
    : window_(window), segments_(std::move(segments)), bytes_(bytes) {}

// A sum walks through a stream of each rank at a time: with small pages it spends much of its time on looking
// them up. Each rank asks for its own segment, so that its memory stays next to its core.
void SharedWindow::take_huge_pages(int rank) {
  const auto [lowest, highest] = std::ranges::minmax_element(segments_);
  std::byte* const begin = *lowest;
  view_ = AlignedView::of({begin, static_cast<std::size_t>(*highest - begin) + bytes_});
  if (view_) {
    for (std::byte*& segment : segments_) {
      segment = view_->data() + (segment - begin);
    }
    ask_for_huge_pages({segments_[static_cast<std::size_t>(rank)], bytes_});
  }
}

SharedWindow::~SharedWindow() {
  if (mpi_is_usable()) {
    MPI_Win_free(&window_);
  }
}

std::size_t Shares::tiles() const {
  if (count == 0 || mine >= sharers) {
    return 0;
  }
  const auto ranks = static_cast<std::size_t>(sharers);
  const std::size_t first = index / kShareTile;
  const std::size_t end = (index + count - 1) / kShareTile + 1;
  const std::size_t skipped = (static_cast<std::size_t>(mine) + ranks - first % ranks) % ranks;
  return end - first > skipped ? (end - first - skipped - 1) / ranks + 1 : 0;
}

std::pair<std::size_t, std::size_t> Shares::tile(std::size_t i) const {
  const auto ranks = static_cast<std::size_t>(sharers);
  const std::size_t first = index / kShareTile;
  const std::size_t skipped = (static_cast<std::size_t>(mine) + ranks - first % ranks) % ranks;
  const std::size_t begin = (first + skipped + i * ranks) * kShareTile;
  return {std::max(begin, index) - index, std::min(begin + kShareTile, index + count) - index};
}

struct HostRanks::Mailbox {
  alignas(kLine) std::atomic<std::uint64_t> meetings;
  alignas(kLine) std::atomic<std::uint64_t> frees;
  alignas(kLine) std::array<std::array<std::byte, kSlotBytes>, 2> slots;
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "ranks are processes: they share no lock");

// Not to be destroyed after its HostRanks.
class HostRanks::Allocation final : public FloatMemory {
 public:
  Allocation(HostRanks& owner, std::unique_ptr<SharedWindow> window, std::size_t floats, std::size_t stride,
             int sharers)
      : owner_(owner), window_(std::move(window)), floats_(floats), stride_(stride), sharers_(sharers) {
    owner_.allocations_.push_back(this);
  }
  ~Allocation() override {
    std::erase(owner_.allocations_, this);
    owner_.wait_to_free(window_->bytes());
  }

  std::span<float> row(int index) override { return {row_of(owner_.rank_, index), floats_}; }

  void publish(int row, std::size_t begin, std::size_t end) override {
    const float* const mine = row_of(owner_.rank_, row);
    for (int rank = 0; rank < owner_.size_; ++rank) {
      if (rank != owner_.rank_) {
        std::memcpy(row_of(rank, row) + begin, mine + begin, (end - begin) * sizeof(float));
      }
    }
  }

  void collect(int row) override {
    for (int rank = 0; rank < sharers_; ++rank) {
      const Shares shares{0, floats_, rank, sharers_};
      for (std::size_t i = 0; rank != owner_.rank_ && i < shares.tiles(); ++i) {
        const auto [begin, end] = shares.tile(i);
        std::memcpy(row_of(owner_.rank_, row) + begin, row_of(rank, row) + begin,
                    (end - begin) * sizeof(float));
      }
    }
  }

  const SharedWindow* window() const { return window_.get(); }
  std::size_t stride() const { return stride_; }

 private:
  float* row_of(int rank, int row) const {
    return reinterpret_cast<float*>(window_->segment(rank)) + static_cast<std::size_t>(row) * stride_;
  }

  HostRanks& owner_;
  std::unique_ptr<SharedWindow> window_;
  std::size_t floats_;  // of a row
  std::size_t stride_;  // floats from one row to the next
  int sharers_;
};

std::unique_ptr<HostRanks> HostRanks::make(MPI_Comm host, std::vector<int> names, Microseconds free_limit,
                                           OperationLog& log) {
  std::unique_ptr<HostRanks> ranks(new HostRanks(host, std::move(names), free_limit, log));
  auto mailboxes = SharedWindow::make(host, sizeof(Mailbox));
  if (!mailboxes.ok()) {
    ranks->host_ = MPI_COMM_NULL;
    return nullptr;
  }
  ranks->mailboxes_ = std::move(mailboxes).value();
  return ranks;
}

HostRanks::HostRanks(MPI_Comm host, std::vector<int> names, Microseconds free_limit, OperationLog& log)
    : host_(host), names_(std::move(names)), free_limit_(free_limit), log_(log) {
  MPI_Comm_rank(host_, &rank_);
  MPI_Comm_size(host_, &size_);
  CHECK(names_.size() == static_cast<std::size_t>(size_));
  looks_ = have_cores_enough(host_, size_) ? kLooks : 0;
}

HostRanks::~HostRanks() {
  CHECK(allocations_.empty(), "memory outlives its communicator");
  if (mailboxes_) {
    wait_to_free(mailboxes_->bytes());
    mailboxes_.reset();
  }
  if (host_ != MPI_COMM_NULL && mpi_is_usable()) {
    MPI_Comm_free(&host_);
  }
}

// The window's memory is zero from the start, and that is two counters at zero: all that a mailbox needs.
HostRanks::Mailbox& HostRanks::mailbox(int rank) const {
  return *reinterpret_cast<Mailbox*>(mailboxes_->segment(rank));
}

std::byte* HostRanks::slot(int rank) const { return mailbox(rank).slots[pieces_ % 2].data(); }

Status HostRanks::meet(const Operation& operation) {
  return meet_at(&Mailbox::meetings, ++meetings_, operation);
}

// MPI has no limit for freeing a window. The counter is one of its own, so that a rank that gives up early is
// not taken for one that has come to the others' next operation. After a timeout no window is freed.
void HostRanks::wait_to_free(std::size_t bytes) {
  if (!mpi_is_usable()) {
    return;
  }
  const auto operation = log_.begin("free", bytes, {.timeout = free_limit_});
  if (operation.ok()) {
    (void)meet_at(&Mailbox::frees, ++frees_, *operation);
  }
}

Status HostRanks::meet_at(Counter counter, std::uint64_t count, const Operation& operation) {
  (mailbox(rank_).*counter).store(count, std::memory_order_release);
  for (int peer = 0; peer < size_; ++peer) {
    RETURN_IF_ERROR(wait_for(peer, counter, count, operation));
  }
  return {};
}

Status HostRanks::wait_for(int peer, Counter counter, std::uint64_t count, const Operation& operation) {
  const std::atomic<std::uint64_t>& came = mailbox(peer).*counter;
  for (int looks = 0; came.load(std::memory_order_acquire) < count; ++looks) {
    if (looks < looks_) {
      relax();
      continue;
    }
    if (operation.deadline.passed()) {
      return missing_at(counter, count, operation);
    }
    if (looks < looks_ + kYields) {
      ::sched_yield();
    } else {
      std::this_thread::sleep_for(kSleep);
    }
  }
  return {};
}

Error HostRanks::missing_at(Counter counter, std::uint64_t count, const Operation& operation) {
  std::string missing;
  for (int peer = 0; peer < size_; ++peer) {
    if ((mailbox(peer).*counter).load(std::memory_order_acquire) < count) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", names_[static_cast<std::size_t>(peer)]);
    }
  }
  return log_.time_out(operation, fmt::format("dead, stuck or without part in it: rank {}", missing));
}

Result<std::unique_ptr<FloatMemory>> HostRanks::allocate(std::size_t floats, int rows, int sharers) {
  const std::size_t stride = rounded_up(floats, page_bytes() / sizeof(float));
  const std::size_t bytes = (static_cast<std::size_t>(rows - 1) * stride + floats) * sizeof(float);
  ASSIGN_OR_RETURN(auto window, SharedWindow::make(host_, bytes));
  return std::unique_ptr<FloatMemory>(
      std::make_unique<Allocation>(*this, std::move(window), floats, stride, sharers));
}

HostRanks::Place HostRanks::place_of(std::span<const float> data) const {
  const auto* const begin = reinterpret_cast<const std::byte*>(data.data());
  for (const Allocation* allocation : allocations_) {
    const SharedWindow& window = *allocation->window();
    const std::byte* const segment = window.segment(rank_);
    if (std::less_equal<>()(segment, begin) &&
        std::less_equal<>()(begin + data.size_bytes(), segment + window.bytes())) {
      const std::size_t offset = static_cast<std::size_t>(begin - segment) / sizeof(float);
      return {&window, offset, allocation->stride() > 0 ? offset % allocation->stride() : 0};
    }
  }
  return {};
}

// Tile by tile, so that the terms are read from memory once: the sum grows in rank 0's buffer, whose tile
// stays in the cache, and is copied to the others.
void HostRanks::sum_slice(const Place& place, std::size_t count) const {
  const Slice slice = slice_of(count, rank_, size_);
  if (size_ == 2) {
    sum_both(floats_of(0, place) + slice.begin, floats_of(1, place) + slice.begin, slice.end - slice.begin);
    return;
  }
  for (std::size_t tile = slice.begin; tile < slice.end; tile += kShareTile) {
    const std::size_t length = std::min(kShareTile, slice.end - tile);
    float* const sum = floats_of(0, place) + tile;
    for (int rank = 1; rank < size_; ++rank) {
      add_to(sum, floats_of(rank, place) + tile, length);
    }
    for (int rank = 1; rank < size_; ++rank) {
      std::memcpy(floats_of(rank, place) + tile, sum, length * sizeof(float));
    }
  }
}

void HostRanks::sum_tile(const Place& place, std::size_t begin, std::size_t end) const {
  const std::size_t length = end - begin;
  float* const mine = floats_of(rank_, place) + begin;
  if (size_ <= 2) {  // the order of two terms does not matter
    for (int rank = 0; rank < size_; ++rank) {
      if (rank != rank_) {
        add_to(mine, floats_of(rank, place) + begin, length);
      }
    }
    return;
  }
  std::array<float, kShareTile> sum;
  std::memcpy(sum.data(), floats_of(0, place) + begin, length * sizeof(float));
  for (int rank = 1; rank < size_; ++rank) {
    add_to(sum.data(), floats_of(rank, place) + begin, length);
  }
  std::memcpy(mine, sum.data(), length * sizeof(float));
}

}  // namespace regatta

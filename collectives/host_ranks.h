// Inside collectives/ and its benchmark only: ranks of one host that meet and add up in memory that they
// share (MPI-3 windows, Hoefler et al., "MPI + MPI: a new hybrid approach to parallel programming with MPI
// plus shared memory", Computing 95 (2013)). A meeting makes no MPI call.
#pragma once

#include <mpi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "collectives/communicator.h"
#include "collectives/huge_pages.h"
#include "collectives/operation_log.h"

namespace regatta {

// A segment of memory for each rank, of equal size, that all ranks see. Made and destroyed by all ranks
// together.
class SharedWindow {
 public:
  // Fails alike on all ranks where the system has no room for it. Zero at first; a rank's segment lies in the
  // memory next to its core, where it is touched first.
  static Result<std::unique_ptr<SharedWindow>> make(MPI_Comm communicator, std::size_t bytes);
  ~SharedWindow();
  SharedWindow(const SharedWindow&) = delete;
  SharedWindow& operator=(const SharedWindow&) = delete;

  std::byte* segment(int rank) const { return segments_[static_cast<std::size_t>(rank)]; }
  std::size_t bytes() const { return bytes_; }  // of a segment

 private:
  SharedWindow(MPI_Win window, std::vector<std::byte*> segments, std::size_t bytes);
  void take_huge_pages(int rank);

  MPI_Win window_;
  std::optional<AlignedView> view_;  // where the segments stand, if not where MPI has put them
  std::vector<std::byte*> segments_;
  std::size_t bytes_;
};

class HostRanks {
 public:
  // All ranks of `host`, which must share memory and is freed at the end. `names`: what errors call them.
  // nullptr, on all ranks, where the system has no room for their mailboxes; then it is not freed.
  // `free_limit`: see CrewLayout.
  static std::unique_ptr<HostRanks> make(MPI_Comm host, std::vector<int> names, Microseconds free_limit,
                                         OperationLog& log);
  ~HostRanks();
  HostRanks(const HostRanks&) = delete;
  HostRanks& operator=(const HostRanks&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  // Says that this rank has come, and waits until all others have. What they wrote before is seen after.
  Status meet(const Operation& operation);
  // The slot for the next piece of a small operation, of every rank; two take turns.
  static constexpr std::size_t kSlotBytes = std::size_t{128} << 10;  // stays in a core's second-level cache
  void next_piece() { ++pieces_; }
  std::byte* slot(int rank) const;

  // The first `sharers` ranks take the shares. Fails alike on all ranks.
  Result<std::unique_ptr<FloatMemory>> allocate(std::size_t floats, int rows, int sharers);

  // Where data stand in memory of allocate(), alike on all ranks.
  struct Place {
    const SharedWindow* window = nullptr;  // none: elsewhere
    std::size_t offset = 0;                // floats from the segment's begin
    std::size_t index = 0;                 // floats from the row's begin
  };
  Place place_of(std::span<const float> data) const;
  float* floats_of(int rank, const Place& place) const {
    return reinterpret_cast<float*>(place.window->segment(rank)) + place.offset;
  }
  // Adds up this rank's part of all ranks' buffers, in rank order, and writes it into all of them. Between
  // two meetings.
  void sum_slice(const Place& place, std::size_t count) const;
  // Adds up [begin, end) of all ranks' buffers, at most a tile, into this rank's.
  void sum_tile(const Place& place, std::size_t begin, std::size_t end) const;

 private:
  struct Mailbox;
  class Allocation;

  // Ranks count up alike, each in its own mailbox.
  using Counter = std::atomic<std::uint64_t> Mailbox::*;

  HostRanks(MPI_Comm host, std::vector<int> names, Microseconds free_limit, OperationLog& log);
  Status meet_at(Counter counter, std::uint64_t count, const Operation& operation);
  Status wait_for(int peer, Counter counter, std::uint64_t count, const Operation& operation);
  Error missing_at(Counter counter, std::uint64_t count, const Operation& operation);
  Mailbox& mailbox(int rank) const;
  void wait_to_free(std::size_t bytes);

  MPI_Comm host_;
  std::vector<int> names_;
  Microseconds free_limit_;
  OperationLog& log_;
  int rank_ = 0;
  int size_ = 1;
  std::unique_ptr<SharedWindow> mailboxes_;
  std::vector<const Allocation*> allocations_;  // that live
  int looks_ = 0;                               // at a peer's counter before it yields its core
  std::uint64_t meetings_ = 0;                  // so far; the same on all ranks between operations
  std::uint64_t frees_ = 0;                     // of windows, likewise
  std::uint64_t pieces_ = 0;                    // that went through the slots
};

// The tiles of [index, index + count) of a row that belong to the sharer `mine` of `sharers`.
struct Shares {
  std::size_t index = 0;
  std::size_t count = 0;
  int mine = 0;
  int sharers = 1;

  std::size_t tiles() const;
  // Begin and end of the i-th of them, from `index`.
  std::pair<std::size_t, std::size_t> tile(std::size_t i) const;
};

// Calls function(begin, end) for each tile, by so many threads.
template <class Function>
void for_shares(const Shares& shares, int threads, const Function& function) {
  const std::size_t tiles = shares.tiles();
  const auto visit = [&](std::size_t i) {
    const auto [begin, end] = shares.tile(i);
    function(begin, end);
  };
  if (threads <= 1) {
    for (std::size_t i = 0; i < tiles; ++i) {
      visit(i);
    }
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (std::size_t i = 0; i < tiles; ++i) {
    visit(i);
  }
}

}  // namespace regatta

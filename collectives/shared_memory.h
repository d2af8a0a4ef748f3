// Inside collectives/, its tests and benchmarks only: collectives of ranks on one host through memory that
// they share (an MPI-3 window, Hoefler et al., "MPI + MPI: a new hybrid approach to parallel programming with
// MPI plus shared memory", Computing 95 (2013)).
#pragma once

#include <mpi.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectives/communicator.h"

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

  std::byte* segment(int rank) const { return segments_.at(static_cast<std::size_t>(rank)); }
  std::size_t bytes() const { return bytes_; }  // of a segment

 private:
  SharedWindow(MPI_Win window, std::vector<std::byte*> segments, std::size_t bytes)
      : window_(window), segments_(std::move(segments)), bytes_(bytes) {}

  MPI_Win window_;
  std::vector<std::byte*> segments_;
  std::size_t bytes_;
};

class SharedMemoryCommunicator final : public Communicator {
 public:
  // All ranks of `communicator`, which is freed at the end if it is owned. nullptr, on all ranks, where they
  // are not on one host or the system has no room for their mailboxes; then it is not freed.
  static std::unique_ptr<Communicator> make(MPI_Comm communicator, bool owns);
  ~SharedMemoryCommunicator() override;
  SharedMemoryCommunicator(const SharedMemoryCommunicator&) = delete;
  SharedMemoryCommunicator& operator=(const SharedMemoryCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Result<std::unique_ptr<FloatMemory>> allocate(std::size_t floats) override;
  Status allreduce(std::span<float> data, const CollectiveOptions& options) override;
  Status allreduce(std::span<double> data, const CollectiveOptions& options) override;
  Status broadcast(std::span<std::byte> data, int root, const CollectiveOptions& options) override;
  Status allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                   const CollectiveOptions& options) override;
  Status reduce_scatter(std::span<const float> data, std::span<float> slice,
                        const CollectiveOptions& options) override;
  Status barrier(const CollectiveOptions& options) override;

 private:
  struct Mailbox;
  struct Operation;
  class Allocation;

  SharedMemoryCommunicator(MPI_Comm communicator, bool owns, std::unique_ptr<SharedWindow> mailboxes);

  Result<Operation> begin(std::string_view name, std::size_t bytes, const CollectiveOptions& options);
  // Says that this rank has come, and waits until all others have. What they wrote before is seen after.
  Status meet(const Operation& operation);
  Status wait_for(int peer, const Operation& operation);
  Error broken_by(const Operation& operation);
  Mailbox& mailbox(int rank) const;
  // The slot for the next piece of an operation, of every rank; two take turns.
  std::byte* slot(int rank) const;

  // An allocation that holds all of `data`, alike on all ranks.
  const SharedWindow* window_of(std::span<const float> data) const;
  void sum_in_place(const SharedWindow& window, std::size_t offset, std::size_t count);
  template <class T>
  Status allreduce_through_slots(std::span<T> data, const Operation& operation);

  MPI_Comm communicator_;
  bool owns_;
  int rank_ = 0;
  int size_ = 1;
  std::unique_ptr<SharedWindow> mailboxes_;
  std::vector<const SharedWindow*> allocations_;  // that live
  int looks_ = 0;                                 // at a peer's counter before it yields its core
  std::uint64_t sequence_ = 0;                    // of the last operation, from 1; the same on all ranks
  std::uint64_t meetings_ = 0;                    // so far; the same on all ranks between operations
  std::uint64_t pieces_ = 0;                      // that went through the slots
  std::string first_error_;                       // not empty: broken
  SystemClock clock_;
};

}  // namespace regatta

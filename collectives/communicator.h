// The ranks of one crew and what they do together. Every operation has a limit: a dead or stuck peer becomes
// an error that names rank, operation, sequence number and bytes, never a hang.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/wire.h"

namespace regatta {

// How long ranks wait for one another: in steps, where all of them compute the same; and where one of them
// may be reading or writing files, or waiting for the coordinator.
inline constexpr Microseconds kStepLimit = std::chrono::seconds(60);
inline constexpr Microseconds kFileLimit = std::chrono::minutes(10);

struct CollectiveOptions {
  Microseconds timeout = kStepLimit;
  // For gradients, in memory of allocate(): how they travel between hosts. Sums are made in fp32.
  Wire wire = Wire::fp32;
  int threads = 1;  // that add up, in memory of allocate()
};

// Floats are shared out among the ranks in tiles, which the ranks take in turns: so who has which one does
// not depend on how a buffer is cut into buckets.
inline constexpr std::size_t kShareTile = 2048;  // floats: what an update needs of it stays in a core's cache

// Rows of floats of this rank that its peers may be able to reach.
class FloatMemory {
 public:
  virtual ~FloatMemory() = default;
  virtual std::span<float> row(int index = 0) = 0;
  // Makes [begin, end) of this rank's row that of the ranks on this host; they see it after
  // Communicator::settle().
  virtual void publish(int row, std::size_t begin, std::size_t end) = 0;
  // Makes this rank's row that of the crew, each tile from the rank whose share it is (see sum_shares).
  virtual void collect(int row) = 0;
};

// Deals with [begin, end) of the data, which is this rank's share. Called by `threads` threads.
using ShareFunction = std::function<void(std::size_t begin, std::size_t end)>;

// All ranks call the same operations in the same order. One thread at a time. After an error the communicator
// is broken and every further call fails: the crew ends and is restarted.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;  // 0 is the leader
  virtual int size() const = 0;
  virtual int host_size() const { return size(); }  // ranks on this host

  // Memory in which this communicator's sums are fastest, zero at first: ranks on one host share it, and
  // nothing is copied. All ranks allocate and free the same sizes in the same order, and free before the
  // communicator ends.
  virtual Result<std::unique_ptr<FloatMemory>> allocate(std::size_t floats, int rows = 1);

  // Sums element by element over the ranks, in place; every rank gets the same bits, however the data are cut
  // into calls.
  virtual Status allreduce(std::span<float> data, const CollectiveOptions& options = {}) = 0;
  virtual Status allreduce(std::span<double> data, const CollectiveOptions& options = {}) = 0;
  // The first half of an allreduce in memory of allocate(): the sum stands in `data` only where it is this
  // rank's share, of which `use` is told tile by tile, in indices of `data`; the rest of `data` is left as
  // anything. Every float is the share of one rank of each host, or of all its ranks where they share no
  // memory.
  virtual Status sum_shares(std::span<float> data, const ShareFunction& use,
                            const CollectiveOptions& options = {});
  // The second half: what the ranks on this host have published is here, and this rank may write again to
  // what was summed.
  virtual Status settle(const CollectiveOptions& options = {});
  // Every rank's `data` becomes the root's.
  virtual Status broadcast(std::span<std::byte> data, int root, const CollectiveOptions& options = {}) = 0;
  // gathered = the ranks' `mine`, in rank order; gathered.size() == size() * mine.size().
  virtual Status allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                           const CollectiveOptions& options = {}) = 0;
  // Rank r's slice of the sum over the ranks: slice.size() * size() == data.size().
  virtual Status reduce_scatter(std::span<const float> data, std::span<float> slice,
                                const CollectiveOptions& options = {}) = 0;
  virtual Status barrier(const CollectiveOptions& options = {}) = 0;
};

// A crew of one: every operation is a copy.
std::unique_ptr<Communicator> make_single_communicator();

}  // namespace regatta

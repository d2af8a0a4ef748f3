// The ranks of one crew and what they do together. Every operation has a limit: a dead or stuck peer becomes
// an error that names rank, operation, sequence number and bytes, never a hang.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

// How long ranks wait for one another: in steps, where all of them compute the same; and where one of them
// may be reading or writing files, or waiting for the coordinator.
inline constexpr Microseconds kStepLimit = std::chrono::seconds(60);
inline constexpr Microseconds kFileLimit = std::chrono::minutes(10);

struct CollectiveOptions {
  Microseconds timeout = kStepLimit;
};

// Floats of this rank that its peers may be able to reach.
class FloatMemory {
 public:
  virtual ~FloatMemory() = default;
  virtual std::span<float> floats() = 0;
};

// All ranks call the same operations in the same order. One thread at a time. After an error the communicator
// is broken and every further call fails: the crew ends and is restarted.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;  // 0 is the leader
  virtual int size() const = 0;

  // Memory in which this communicator's allreduce is fastest, zero at first: where all ranks are on one host
  // they share it, and nothing is copied. All ranks allocate and free the same sizes in the same order, and
  // free before the communicator ends.
  virtual Result<std::unique_ptr<FloatMemory>> allocate(std::size_t floats);

  // Sums element by element over the ranks, in place; every rank gets the same bits.
  virtual Status allreduce(std::span<float> data, const CollectiveOptions& options = {}) = 0;
  virtual Status allreduce(std::span<double> data, const CollectiveOptions& options = {}) = 0;
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

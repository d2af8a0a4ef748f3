// The yardstick of a sum in shared memory: the same reads and writes by as many processes, in memory of the
// same kind, and nothing that keeps the processes in step.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "collectives/host_ranks.h"

namespace regatta {

// For an allreduce of `count` floats each rank's buffer must be read once and written once. A rank deals with
// a slice of all buffers, as in ours: it reads as many streams as there are ranks, and writes them. Its
// stores are ordinary ones, like ours: each line was read before, so that writing it fetches nothing.
class PlainSum {
 public:
  // All ranks of the world, which share memory. All destroy it together.
  static Result<PlainSum> make(std::size_t count);

  void operator()() const;
  // Reads and writes of all ranks together.
  double moved_bytes() const { return 2.0 * static_cast<double>(count_ * buffers_.size() * sizeof(float)); }

 private:
  PlainSum() = default;

  std::unique_ptr<SharedWindow> window_;
  std::vector<float*> buffers_;  // of the ranks
  std::size_t count_ = 0;
  std::size_t begin_ = 0;  // of this rank's slice
  std::size_t end_ = 0;
};

}  // namespace regatta

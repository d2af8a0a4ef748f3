// A second row of a step's work, beside the first: what only the update waits for, so that it yields.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "base/result.h"
#include "models/cuda/runtime.h"

namespace regatta::cuda {

class SideBranch {
 public:
  static Result<SideBranch> create();

  // What is put on stream() from here on comes after what `main` has so far.
  Status fork(cudaStream_t main);
  cudaStream_t stream() const { return stream_.get(); }
  // What is put on `main` from here on comes after what stream() has.
  Status join(cudaStream_t main);

 private:
  Stream stream_;
  Event forked_;
  Event joined_;
  bool has_work_ = false;  // since the last join
};

// Whether work that writes so many values leaves much of a card idle: fewer than one tile of 128 × 128 for
// each of an H200's multiprocessors. More gains nothing from work beside it, and memory is what it would
// cost.
inline bool leaves_card_idle(std::int64_t written) { return written <= std::int64_t{132} * 128 * 128; }

}  // namespace regatta::cuda

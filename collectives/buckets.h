// Gradient buckets: the flat gradient buffer cut into byte ranges that are reduced one by one, in index
// order, while backward still runs. Li et al., "PyTorch Distributed", VLDB 2020, section 3.2.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

struct Bucket {
  std::size_t begin = 0;  // in floats
  std::size_t end = 0;
};

// Cuts `size` floats into buckets of at most `bucket_bytes`, the first one at most `first_bytes` so that the
// first reduction starts early. Alike on all ranks.
std::vector<Bucket> plan_buckets(std::size_t size, std::size_t bucket_bytes, std::size_t first_bytes);

// Sums one step's gradients. Backward fills the buffer from the front; ready(n) says that the first n floats
// are final, and every bucket that lies within them is summed over the ranks.
class BucketReducer {
 public:
  BucketReducer(Communicator& communicator, std::span<float> gradients, std::vector<Bucket> buckets,
                const CollectiveOptions& options = {});
  // Before a step's first ready(). With `use` this rank gets its share only (Communicator::sum_shares), in
  // indices of the whole buffer; without, all of the sum.
  void begin(ShareFunction use) { use_ = std::move(use); }
  Status ready(std::size_t floats);
  // The whole buffer is final: sums what is left, waits until the peers have published what they made of it,
  // and makes ready for the next step.
  Status finish();

 private:
  Status reduce(const Bucket& bucket);

  Communicator& communicator_;
  std::span<float> gradients_;
  std::vector<Bucket> buckets_;
  CollectiveOptions options_;
  ShareFunction use_;
  std::size_t next_ = 0;
};

}  // namespace regatta

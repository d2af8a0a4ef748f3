// Batches of one rank, in an order that depends only on (seed, epoch), prefetched by a thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/random.h"
#include "data/augmentation.h"
#include "data/dataset.h"

namespace regatta {

struct Batch {
  std::vector<float> inputs;         // [capacity, sample_shape...], normalised; rows from `count` on are zero
  std::vector<std::int32_t> labels;  // classification: [capacity, positions]
  std::vector<float> targets;        // regression: [capacity, targets], in normalised units
  // Classification with mixup: the label of the sample that was mixed into each row, and the share of
  // `labels`.
  std::vector<std::int32_t> other_labels;
  std::vector<float> label_shares;
  std::int64_t count = 0;  // rows in use
};

struct LoaderOptions {
  std::uint64_t seed = 0;
  std::int64_t global_batch = 256;  // over all ranks; at most the split's size
  int rank = 0;
  int ranks = 1;
  // Training: shuffled each epoch, and the last incomplete global batch is left out (another part of the data
  // each epoch). Otherwise: in order, every sample once, the last batch padded.
  bool shuffle = true;
  int prefetch = 2;           // batches made ahead; at least 1
  Augmentation augmentation;  // mixup, of shuffled data only, mixes samples of one global batch
};

// The rows of a global batch of `global` samples that belong to `rank`: contiguous, sizes differ by at most
// one.
struct RankShare {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};
RankShare rank_share(std::int64_t global, int rank, int ranks);

// Which positions of an epoch are in which batch. A position is a place in the epoch's order of the split's
// samples: the permutation by data_order(seed).substream(epoch) where it is shuffled.
class BatchPlan {
 public:
  BatchPlan(std::int64_t samples, const LoaderOptions& options);

  std::int64_t global_batch() const { return global_batch_; }
  std::int64_t steps_per_epoch() const;
  std::int64_t capacity() const { return share_.end - share_.begin; }  // rows of this rank's batches
  std::int64_t first_row() const { return share_.begin; }              // of them within the global batch
  std::int64_t count(std::int64_t step) const;                         // rows in use

 private:
  std::int64_t samples_;
  std::int64_t global_batch_;
  bool leaves_out_rest_;
  RankShare share_;
};
Random data_order(std::uint64_t seed);

class Loader {
 public:
  Loader(Split split, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  std::int64_t steps_per_epoch() const;
  std::int64_t batch_capacity() const;  // rows of this rank's batches

  // Begins an epoch (from 0) at a step; batches of an epoch that was left are dropped.
  void start_epoch(std::int64_t epoch, std::int64_t first_step = 0);
  // The next batch, valid until the following call; nullptr after the epoch's last step.
  const Batch* next();

 private:
  class Prefetcher;
  std::unique_ptr<Prefetcher> prefetcher_;
};

}  // namespace regatta

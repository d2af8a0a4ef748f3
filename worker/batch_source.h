// Where an engine's batches come from, seen from the loops that train and measure.
#pragma once

#include <cstdint>
#include <memory>

#include "data/dataset.h"
#include "data/loader.h"
#include "models/engine.h"

namespace regatta {

// One rank's batches of a split, as Loader has them. One thread at a time.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual std::int64_t steps_per_epoch() const = 0;
  virtual std::int64_t batch_capacity() const = 0;  // rows of this rank's batches
  // Begins an epoch (from 0) at a step; what is left of another is dropped.
  virtual void start_epoch(std::int64_t epoch, std::int64_t first_step = 0) = 0;
  // The next batch, valid until the following call; nullptr after the epoch's last step.
  virtual const BatchView* next() = 0;
};

// Batches of the host: what they hold is made here.
std::unique_ptr<BatchSource> make_host_batches(const Split& split, const LoaderOptions& options);

// For an engine that keeps the data and makes the batches itself: the same ones without values, each only
// told by its count, epoch and step, as those of the `part` that BatchView has.
std::unique_ptr<BatchSource> make_kept_batches(std::int64_t samples, const LoaderOptions& options, int part);

}  // namespace regatta

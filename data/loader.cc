// Batches are made by one thread into a ring of buffers that are allocated once. The consumer holds the
// oldest of them; the thread fills the others and waits.
#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/random.h"
#include "data/sample_writer.h"

namespace regatta {

RankShare rank_share(std::int64_t global, int rank, int ranks) {
  CHECK(global >= 0 && ranks >= 1 && rank >= 0 && rank < ranks);
  return {global * rank / ranks, global * (rank + 1) / ranks};
}

BatchPlan::BatchPlan(std::int64_t samples, const LoaderOptions& options)
    : samples_(samples),
      global_batch_(std::min(options.global_batch, std::max<std::int64_t>(samples, 1))),
      leaves_out_rest_(options.shuffle),
      share_(rank_share(global_batch_, options.rank, options.ranks)) {
  CHECK(options.global_batch >= 1);
  CHECK(options.shuffle || options.augmentation.mixup == 0, "the last batch may lack the other sample");
}

std::int64_t BatchPlan::steps_per_epoch() const {
  return (leaves_out_rest_ ? samples_ : samples_ + global_batch_ - 1) / global_batch_;
}

std::int64_t BatchPlan::count(std::int64_t step) const {
  return std::clamp<std::int64_t>(samples_ - step * global_batch_ - share_.begin, 0, capacity());
}

Random data_order(std::uint64_t seed) { return Random(seed, "data order"); }

class Loader::Prefetcher {
 public:
  Prefetcher(Split split, LoaderOptions options)
      : split_(std::move(split)),
        options_(options),
        plan_(split_.count(), options),
        sample_size_(static_cast<std::size_t>(split_.dataset->sample_size())),
        positions_(static_cast<std::size_t>(split_.dataset->positions)),
        target_count_(split_.dataset->target_names.size()),
        writer_(*split_.dataset, *split_.normalization),
        other_inputs_(options.augmentation.mixup > 0 ? sample_size_ : 0),
        other_targets_(options.augmentation.mixup > 0 ? target_count_ : 0),
        ring_(static_cast<std::size_t>(options_.prefetch) + 1) {
    CHECK(options_.prefetch >= 1);
    const auto rows = static_cast<std::size_t>(plan_.capacity());
    for (Batch& batch : ring_) {
      batch.inputs.resize(rows * sample_size_);
      batch.labels.resize(split_.dataset->task == Task::classification ? rows * positions_ : 0);
      batch.targets.resize(rows * target_count_);
      if (options_.augmentation.mixup > 0 && !batch.labels.empty()) {
        batch.other_labels.resize(batch.labels.size());
        batch.label_shares.resize(rows, 1.0F);
      }
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { produce(stop); });
  }

  const BatchPlan& plan() const { return plan_; }

  void start_epoch(std::int64_t epoch, std::int64_t first_step) {
    CHECK(epoch >= 0 && first_step >= 0 && first_step <= plan_.steps_per_epoch());
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !filling_; });  // at most the time to make one batch
    order_.emplace(static_cast<std::uint64_t>(std::max<std::int64_t>(split_.count(), 1)),
                   data_order(options_.seed).substream(static_cast<std::uint64_t>(epoch)));
    epoch_ = epoch;
    made_ = first_step;
    taken_ = first_step;
    holding_ = false;
    changed_.notify_all();
  }

  const Batch* next() {
    std::unique_lock lock(mutex_);
    CHECK(order_.has_value(), "start_epoch comes first");
    holding_ = false;
    changed_.notify_all();
    if (taken_ == plan_.steps_per_epoch()) {
      return nullptr;
    }
    changed_.wait(lock, [this] { return made_ > taken_; });
    holding_ = true;
    return &batch_of(taken_++);
  }

 private:
  Batch& batch_of(std::int64_t step) { return ring_[static_cast<std::size_t>(step) % ring_.size()]; }

  // The oldest step whose buffer may not be overwritten.
  std::int64_t oldest_in_use() const { return taken_ - (holding_ ? 1 : 0); }

  bool has_work() const {
    return order_.has_value() && made_ < plan_.steps_per_epoch() &&
           made_ - oldest_in_use() < static_cast<std::int64_t>(ring_.size());
  }

  void produce(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return has_work(); })) {
      filling_ = true;
      const std::int64_t step = made_;
      lock.unlock();
      fill(batch_of(step), step);
      lock.lock();
      filling_ = false;
      ++made_;
      changed_.notify_all();
    }
  }

  // Runs without the lock: start_epoch waits for it before it changes order_ and epoch_.
  void fill(Batch& batch, std::int64_t step) {
    const std::int64_t global_first = step * plan_.global_batch();
    const std::int64_t first = global_first + plan_.first_row();
    batch.count = plan_.count(step);
    for (std::int64_t row = 0; row < batch.count; ++row) {
      write_row(batch, static_cast<std::size_t>(row), sample_at(first + row));
      if (options_.augmentation.mixup > 0) {
        mix_row(batch, static_cast<std::size_t>(row), global_first);
      }
    }
    const auto used = static_cast<std::size_t>(batch.count);
    std::fill(batch.inputs.begin() + static_cast<std::ptrdiff_t>(used * sample_size_), batch.inputs.end(),
              0.0F);
    if (!batch.labels.empty()) {
      std::fill(batch.labels.begin() + static_cast<std::ptrdiff_t>(used * positions_), batch.labels.end(), 0);
    }
    std::fill(batch.targets.begin() + static_cast<std::ptrdiff_t>(used * target_count_), batch.targets.end(),
              0.0F);
  }

  // The sample at a position of the epoch.
  std::int64_t sample_at(std::int64_t position) const {
    const auto index = static_cast<std::uint64_t>(position);
    return split_.samples[options_.shuffle ? (*order_)[index] : index];
  }

  AugmentationDraws draws(std::int64_t sample) const { return {options_.seed, epoch_, sample}; }

  void write_inputs(std::int64_t sample, float* inputs) const {
    if (options_.augmentation.changes_images()) {
      writer_.write_changed(sample, draws(sample).image(options_.augmentation, writer_.image_size()), inputs);
    } else {
      writer_.write_inputs(sample, inputs);
    }
  }

  void copy_labels(std::int64_t sample, std::size_t row, std::vector<std::int32_t>& labels) const {
    const auto size = static_cast<std::ptrdiff_t>(positions_);
    std::copy_n(split_.dataset->labels.begin() + sample * size, size,
                labels.begin() + static_cast<std::ptrdiff_t>(row) * size);
  }

  void write_row(Batch& batch, std::size_t row, std::int64_t sample) const {
    write_inputs(sample, batch.inputs.data() + row * sample_size_);
    if (split_.dataset->task == Task::classification) {
      copy_labels(sample, row, batch.labels);
    } else {
      writer_.write_targets(sample, batch.targets.data() + row * target_count_);
    }
  }

  // x = s x + (1 - s) x', and the targets likewise, with another sample of the global batch, which may be
  // another rank's.
  void mix_row(Batch& batch, std::size_t row, std::int64_t global_first) {
    const std::int64_t place = plan_.first_row() + static_cast<std::int64_t>(row);
    const AugmentationDraws own = draws(sample_at(global_first + place));
    const std::int64_t other = sample_at(global_first + own.partner(place, plan_.global_batch()));
    const auto share = static_cast<float>(own.share(options_.augmentation.mixup));
    write_inputs(other, other_inputs_.data());
    mix(batch.inputs.data() + row * sample_size_, other_inputs_.data(), sample_size_, share);
    if (split_.dataset->task == Task::classification) {
      copy_labels(other, row, batch.other_labels);
      batch.label_shares[row] = share;
    } else {
      writer_.write_targets(other, other_targets_.data());
      mix(batch.targets.data() + row * target_count_, other_targets_.data(), target_count_, share);
    }
  }

  static void mix(float* __restrict values, const float* __restrict others, std::size_t count, float share) {
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = share * values[i] + (1 - share) * others[i];
    }
  }

  const Split split_;
  const LoaderOptions options_;
  const BatchPlan plan_;
  const std::size_t sample_size_;
  const std::size_t positions_;
  const std::size_t target_count_;
  const SampleWriter writer_;
  std::vector<float> other_inputs_;  // mixup: of the sample that is mixed in
  std::vector<float> other_targets_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Permutation> order_;  // none before the first epoch
  std::int64_t epoch_ = 0;
  std::vector<Batch> ring_;  // step s is in ring_[s % size]
  std::int64_t made_ = 0;    // steps below it have been made
  std::int64_t taken_ = 0;   // steps below it have been handed out
  bool holding_ = false;     // the consumer still reads step taken_ - 1
  bool filling_ = false;     // the thread is making step made_
  std::jthread thread_;      // last: it ends before what it uses
};

Loader::Loader(Split split, LoaderOptions options)
    : prefetcher_(std::make_unique<Prefetcher>(std::move(split), options)) {}

Loader::~Loader() = default;

std::int64_t Loader::steps_per_epoch() const { return prefetcher_->plan().steps_per_epoch(); }

std::int64_t Loader::batch_capacity() const { return prefetcher_->plan().capacity(); }

void Loader::start_epoch(std::int64_t epoch, std::int64_t first_step) {
  prefetcher_->start_epoch(epoch, first_step);
}

const Batch* Loader::next() { return prefetcher_->next(); }

}  // namespace regatta

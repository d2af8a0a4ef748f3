// Batches are made by one thread into a ring of buffers that are allocated once. The consumer holds the
// oldest of them; the thread fills the others and waits.
#include "data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/random.h"

namespace regatta {
namespace {

// One group (a channel of an image): every element with the same shift and scale.
template <class T>
void normalize_group(const T* __restrict raw, std::size_t count, float shift, float scale,
                     float* __restrict out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = (static_cast<float>(raw[i]) - shift) * scale;
  }
}

// A row of a table: every element with its own.
void normalize_row(const float* __restrict raw, const std::vector<float>& shift,
                   const std::vector<float>& scale, float* __restrict out) {
  for (std::size_t i = 0; i < shift.size(); ++i) {
    out[i] = (raw[i] - shift[i]) * scale[i];
  }
}

LoaderOptions checked(LoaderOptions options, std::int64_t samples) {
  CHECK(options.ranks >= 1 && options.rank >= 0 && options.rank < options.ranks);
  CHECK(options.global_batch >= 1 && options.prefetch >= 1);
  options.global_batch = std::min(options.global_batch, std::max<std::int64_t>(samples, 1));
  return options;
}

}  // namespace

RankShare rank_share(std::int64_t global, int rank, int ranks) {
  CHECK(global >= 0 && ranks >= 1 && rank >= 0 && rank < ranks);
  return {global * rank / ranks, global * (rank + 1) / ranks};
}

class Loader::Prefetcher {
 public:
  Prefetcher(Split split, LoaderOptions options)
      : split_(std::move(split)),
        options_(checked(options, split_.count())),
        share_(rank_share(options_.global_batch, options_.rank, options_.ranks)),
        sample_size_(static_cast<std::size_t>(split_.dataset->sample_size())),
        positions_(static_cast<std::size_t>(split_.dataset->positions)),
        target_count_(split_.dataset->target_names.size()),
        ring_(static_cast<std::size_t>(options_.prefetch) + 1) {
    const auto rows = static_cast<std::size_t>(capacity());
    for (Batch& batch : ring_) {
      batch.inputs.resize(rows * sample_size_);
      batch.labels.resize(split_.dataset->task == Task::classification ? rows * positions_ : 0);
      batch.targets.resize(rows * target_count_);
    }
    thread_ = std::jthread([this](const std::stop_token& stop) { produce(stop); });
  }

  std::int64_t steps() const {
    const std::int64_t samples = split_.count();
    return options_.shuffle ? samples / options_.global_batch
                            : (samples + options_.global_batch - 1) / options_.global_batch;
  }

  std::int64_t capacity() const { return share_.end - share_.begin; }

  void start_epoch(std::int64_t epoch, std::int64_t first_step) {
    CHECK(epoch >= 0 && first_step >= 0 && first_step <= steps());
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !filling_; });  // at most the time to make one batch
    order_.emplace(static_cast<std::uint64_t>(std::max<std::int64_t>(split_.count(), 1)),
                   Random(options_.seed, "data order").substream(static_cast<std::uint64_t>(epoch)));
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
    if (taken_ == steps()) {
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
    return order_.has_value() && made_ < steps() &&
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

  // Runs without the lock: start_epoch waits for it before it changes order_.
  void fill(Batch& batch, std::int64_t step) const {
    const std::int64_t first = step * options_.global_batch + share_.begin;
    batch.count = std::clamp<std::int64_t>(split_.count() - first, 0, capacity());
    for (std::int64_t row = 0; row < batch.count; ++row) {
      const auto position = static_cast<std::uint64_t>(first + row);
      const std::size_t index = options_.shuffle ? (*order_)[position] : position;
      write_row(batch, static_cast<std::size_t>(row), static_cast<std::size_t>(split_.samples[index]));
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

  void write_row(Batch& batch, std::size_t row, std::size_t sample) const {
    const Dataset& dataset = *split_.dataset;
    const Normalization& normalization = *split_.normalization;
    float* out = batch.inputs.data() + row * sample_size_;
    if (const auto* bytes = std::get_if<std::vector<std::uint8_t>>(&dataset.inputs)) {
      const std::size_t channels = normalization.shift.size();
      const std::size_t pixels = sample_size_ / channels;
      for (std::size_t channel = 0; channel < channels; ++channel) {
        normalize_group(bytes->data() + sample * sample_size_ + channel * pixels, pixels,
                        normalization.shift[channel], normalization.scale[channel], out + channel * pixels);
      }
    } else {
      normalize_row(std::get<std::vector<float>>(dataset.inputs).data() + sample * sample_size_,
                    normalization.shift, normalization.scale, out);
    }
    if (dataset.task == Task::classification) {
      std::copy_n(dataset.labels.begin() + static_cast<std::ptrdiff_t>(sample * positions_), positions_,
                  batch.labels.begin() + static_cast<std::ptrdiff_t>(row * positions_));
    } else {
      normalize_row(dataset.targets.data() + sample * target_count_, normalization.target_shift,
                    normalization.target_scale, batch.targets.data() + row * target_count_);
    }
  }

  const Split split_;
  const LoaderOptions options_;
  const RankShare share_;
  const std::size_t sample_size_;
  const std::size_t positions_;
  const std::size_t target_count_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Permutation> order_;  // none before the first epoch
  std::vector<Batch> ring_;           // step s is in ring_[s % size]
  std::int64_t made_ = 0;             // steps below it have been made
  std::int64_t taken_ = 0;            // steps below it have been handed out
  bool holding_ = false;              // the consumer still reads step taken_ - 1
  bool filling_ = false;              // the thread is making step made_
  std::jthread thread_;               // last: it ends before what it uses
};

Loader::Loader(Split split, LoaderOptions options)
    : prefetcher_(std::make_unique<Prefetcher>(std::move(split), options)) {}

Loader::~Loader() = default;

std::int64_t Loader::steps_per_epoch() const { return prefetcher_->steps(); }

std::int64_t Loader::batch_capacity() const { return prefetcher_->capacity(); }

void Loader::start_epoch(std::int64_t epoch, std::int64_t first_step) {
  prefetcher_->start_epoch(epoch, first_step);
}

const Batch* Loader::next() { return prefetcher_->next(); }

}  // namespace regatta

// Two places for batches on each side: while one is read the other is filled.
#include <algorithm>
#include <array>

#include "models/cuda/batch_input.h"
#include "models/cuda/device.h"
#include "models/cuda/host_feed.h"
#include "models/cuda/launch.h"
#include "models/cuda/runtime.h"
#include "models/cuda/step_start.h"

namespace regatta::cuda {
namespace {

constexpr std::int64_t kPlaces = 2;

// Floats and integers are words alike here.
struct Part {
  std::uint32_t* to;    // of all but the inputs, which DeviceBatch tells
  std::int64_t offset;  // in words, of a place
  std::int64_t words;   // of a sample
};

constexpr int kParts = 5;  // inputs, labels, targets, other labels, label shares
struct Parts {
  Part part[kParts];
};

// All parts of one batch, then the next. Which place is read is told by how many were read before.
__global__ void unpack(const std::uint32_t* places, std::int64_t place_words, std::int64_t* taken,
                       Parts parts, std::int64_t rows, StepStart start, DeviceBatch to) {
  const std::int64_t count = begin_step(start).count;
  const std::uint32_t* const place = places + *taken % kPlaces * place_words;
  const Part inputs = parts.part[0];
  each_element(rows * inputs.words, [&](std::int64_t i) {
    const std::int64_t row = i / inputs.words;
    const auto input = input_at(to.layout, static_cast<std::uint32_t>(i - row * inputs.words));
    const std::uint32_t* const word = place + inputs.offset + row * inputs.words + input;
    write_input(to, i, row < count ? __uint_as_float(*word) : 0);
  });
  for (int k = 1; k < kParts; ++k) {
    const Part& part = parts.part[k];
    each_element(rows * part.words,
                 [&](std::int64_t i) { part.to[i] = i < count * part.words ? place[part.offset + i] : 0; });
  }
  if (end_step_start(start)) {
    ++*taken;
  }
}

class HostFeed final : public BatchFeed {
 public:
  explicit HostFeed(const BatchSizes& sizes) : sizes_(sizes) {
    const std::int64_t words[kParts] = {sizes.inputs, sizes.labels, sizes.targets, sizes.labels,
                                        sizes.labels > 0 ? 1 : 0};
    for (int i = 0; i < kParts; ++i) {
      parts_.part[i] = {.to = nullptr, .offset = place_words_, .words = words[i]};
      place_words_ += sizes.rows * words[i];
    }
  }

  Status allocate() {
    const auto bytes = static_cast<std::size_t>(kPlaces * place_words_) * sizeof(std::uint32_t);
    ASSIGN_OR_RETURN(host_, SharedHostMemory::allocate(bytes));
    ASSIGN_OR_RETURN(device_, DeviceMemory::allocate(bytes, "the batches"));
    ASSIGN_OR_RETURN(taken_, DeviceMemory::allocate(sizeof(std::int64_t), "the batches"));
    ASSIGN_OR_RETURN(copying_, Stream::create());
    for (Place& place : places_) {
      ASSIGN_OR_RETURN(place.copied, Event::create());
      ASSIGN_OR_RETURN(place.read, Event::create());
    }
    return {};
  }

  bool is_mixed(const BatchView& batch) const override { return !batch.other_labels.empty(); }

  Status stage(const BatchView& batch, cudaStream_t stream) override {
    CHECK(batch.count <= sizes_.rows);
    const auto index = static_cast<std::size_t>(staged_ % kPlaces);
    Place& place = places_[index];
    if (staged_ >= kPlaces) {
      RETURN_IF_ERROR(wait_for(place.copied, "copying a batch to the GPU"));
      RETURN_IF_ERROR(check(cudaStreamWaitEvent(copying_.get(), place.read.get()), "waiting for a batch"));
    }
    ++staged_;
    const std::int64_t first = static_cast<std::int64_t>(index) * place_words_;
    auto* const host = reinterpret_cast<std::uint32_t*>(host_.data()) + first;
    write(host, parts_.part[0], batch.count, batch.inputs.data());
    write(host, parts_.part[1], batch.count, batch.labels.data());
    write(host, parts_.part[2], batch.count, batch.targets.data());
    if (!batch.other_labels.empty()) {
      write(host, parts_.part[3], batch.count, batch.other_labels.data());
      write(host, parts_.part[4], batch.count, batch.label_shares.data());
    }
    RETURN_IF_ERROR(check(cudaMemcpyAsync(device_.as<std::uint32_t>() + first, host,
                                          static_cast<std::size_t>(place_words_) * sizeof(std::uint32_t),
                                          cudaMemcpyHostToDevice, copying_.get()),
                          "copying a batch to the GPU"));
    RETURN_IF_ERROR(check(cudaEventRecord(place.copied.get(), copying_.get()), "copying a batch to the GPU"));
    return check(cudaStreamWaitEvent(stream, place.copied.get()), "waiting for a batch");
  }

  Status enqueue(const DeviceBatch& to, std::int64_t rows, const StepStart& start,
                 cudaStream_t stream) override {
    Parts parts = parts_;
    parts.part[1].to = reinterpret_cast<std::uint32_t*>(to.labels);
    parts.part[2].to = reinterpret_cast<std::uint32_t*>(to.targets);
    parts.part[3].to = reinterpret_cast<std::uint32_t*>(to.other_labels);
    parts.part[4].to = reinterpret_cast<std::uint32_t*>(to.label_shares);
    LaunchShape shape = one_thread_each(rows * sizes_.inputs);
    shape.grid.x = std::min(shape.grid.x, kMostStartBlocks);
    launch(unpack, shape, stream, device_.as<std::uint32_t>(), place_words_, taken_.as<std::int64_t>(), parts,
           rows, start, to);
    return {};
  }

  Status enqueued(cudaStream_t stream) override {
    const auto index = static_cast<std::size_t>((staged_ - 1) % kPlaces);
    return check(cudaEventRecord(places_[index].read.get(), stream), "marking a batch as read");
  }

 private:
  struct Place {
    Event copied;
    Event read;
  };

  template <class Value>
  static void write(std::uint32_t* place, const Part& part, std::int64_t rows, const Value* values) {
    static_assert(sizeof(Value) == sizeof(std::uint32_t));
    std::copy_n(reinterpret_cast<const std::uint32_t*>(values), rows * part.words, place + part.offset);
  }

  BatchSizes sizes_;
  Parts parts_ = {};
  std::int64_t place_words_ = 0;
  std::int64_t staged_ = 0;
  SharedHostMemory host_;
  DeviceMemory device_;
  DeviceMemory taken_;
  Stream copying_;
  std::array<Place, kPlaces> places_;
};

}  // namespace

Result<std::unique_ptr<BatchFeed>> make_host_feed(const BatchSizes& sizes) {
  auto feed = std::make_unique<HostFeed>(sizes);
  RETURN_IF_ERROR(feed->allocate());
  return std::unique_ptr<BatchFeed>(std::move(feed));
}

}  // namespace regatta::cuda

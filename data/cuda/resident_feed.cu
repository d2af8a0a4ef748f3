// Two kernels a step: one chooses each row's sample and what is done to it, the other writes the rows.
#include "data/cuda/resident_feed.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "data/augmentation.h"
#include "models/cuda/device.h"
#include "models/cuda/launch.h"
#include "models/cuda/random_device.h"
#include "models/cuda/row_work.h"
#include "models/cuda/runtime.h"

namespace regatta::cuda {
namespace {

using Draw = AugmentationDraws::Draw;

// What the kernels know of a part; pointers are to device memory.
struct DevicePart {
  const std::uint8_t* bytes = nullptr;  // the data set's inputs, these
  const float* floats = nullptr;        // or these
  const std::int32_t* labels = nullptr;
  const float* targets = nullptr;
  const std::int64_t* samples = nullptr;  // of the split
  const float* shift = nullptr;           // one a group of `group_size` inputs
  const float* scale = nullptr;
  const float* target_shift = nullptr;
  const float* target_scale = nullptr;
  std::uint32_t group_size = 1;
  std::int32_t height = 0;  // of images
  std::int32_t width = 0;

  std::int64_t sample_count = 0;
  std::int64_t global_batch = 0;
  std::int64_t first_row = 0;  // of this rank within the global batch
  bool is_shuffled = false;
  std::uint64_t order_key = 0;  // of data_order()
  std::uint64_t draws_key = 0;  // of AugmentationDraws::stream()

  bool changes_images = false;
  bool flips_y = false;
  bool flips_x = false;
  std::int32_t crop_padding = 0;
  std::int32_t cutout = 0;
  double mixup = 0;
};

// As ImageChange. No initial values: kernels fill them.
struct Change {
  std::int32_t flip_y;
  std::int32_t flip_x;
  std::int32_t shift_y;
  std::int32_t shift_x;
  std::int32_t cut_y_begin;
  std::int32_t cut_y_end;
  std::int32_t cut_x_begin;
  std::int32_t cut_x_end;
};
struct ChosenSample {
  std::int64_t sample;
  Change change;
};
struct Row {
  ChosenSample own;
  ChosenSample other;  // mixup
  float share;         // of `own`
};

// Of one sample.
struct Sizes {
  std::uint32_t inputs = 0;
  std::uint32_t labels = 0;   // 0: regression
  std::uint32_t targets = 0;  // 0: classification
  std::uint32_t answers() const { return labels + targets; }
};

// The sample at a position of the epoch.
__device__ std::int64_t sample_at(const DevicePart& part, std::int64_t epoch, std::int64_t position) {
  if (!part.is_shuffled) {
    return part.samples[position];
  }
  const std::uint64_t key = random_substream(part.order_key, static_cast<std::uint64_t>(epoch));
  return part.samples[permuted(key, static_cast<std::uint64_t>(part.sample_count),
                               static_cast<std::uint64_t>(position))];
}

// AugmentationDraws(seed, epoch, sample)
__device__ std::uint64_t draws_key(const DevicePart& part, std::int64_t epoch, std::int64_t sample) {
  return random_substream(random_substream(part.draws_key, static_cast<std::uint64_t>(epoch)),
                          static_cast<std::uint64_t>(sample));
}

__device__ std::int32_t draw_below(std::uint64_t key, Draw draw, std::int32_t bound) {
  return static_cast<std::int32_t>(random_below(key, draw, static_cast<std::uint64_t>(bound)));
}

// AugmentationDraws::image
__device__ Change draw_change(const DevicePart& part, std::uint64_t key) {
  Change change = {};
  change.flip_y = part.flips_y && draw_below(key, Draw::flip_y, 2) == 1 ? 1 : 0;
  change.flip_x = part.flips_x && draw_below(key, Draw::flip_x, 2) == 1 ? 1 : 0;
  if (part.crop_padding > 0) {
    const std::int32_t places = 2 * part.crop_padding + 1;
    change.shift_y = draw_below(key, Draw::crop_y, places) - part.crop_padding;
    change.shift_x = draw_below(key, Draw::crop_x, places) - part.crop_padding;
  }
  if (part.cutout > 0) {  // what lies outside of the image meets no pixel
    change.cut_y_begin = draw_below(key, Draw::cut_y, part.height) - part.cutout / 2;
    change.cut_y_end = change.cut_y_begin + part.cutout;
    change.cut_x_begin = draw_below(key, Draw::cut_x, part.width) - part.cutout / 2;
    change.cut_x_end = change.cut_x_begin + part.cutout;
  }
  return change;
}

// AugmentationDraws::share
__device__ double draw_share(std::uint64_t key, double alpha) {
  for (std::uint64_t i = Draw::first_share;; i += 2) {
    const double log_x = log1p(-random_uniform(key, i)) / alpha;
    const double log_y = log1p(-random_uniform(key, i + 1)) / alpha;
    const double larger = log_x > log_y ? log_x : log_y;
    const double smaller = log_x > log_y ? log_y : log_x;
    const double log_sum = larger + log1p(exp(smaller - larger));
    if (log_sum <= 0) {
      return exp(larger - log_sum);
    }
  }
}

// AugmentationDraws::partner
__device__ std::int64_t draw_partner(std::uint64_t key, std::int64_t row, std::int64_t rows) {
  if (rows <= 1) {
    return row;
  }
  const std::uint64_t step = random_below(key, Draw::partner_row, static_cast<std::uint64_t>(rows - 1));
  return (row + 1 + static_cast<std::int64_t>(step)) % rows;
}

__device__ ChosenSample choose(const DevicePart& part, std::int64_t sample, std::uint64_t key) {
  ChosenSample chosen = {sample, {}};
  if (part.changes_images) {
    chosen.change = draw_change(part, key);
  }
  return chosen;
}

// A thread a row in use.
__global__ void choose_rows(const DevicePart* parts, StepNumbers numbers, Row* rows) {
  const BatchNumbers& batch = *numbers.batch;
  const DevicePart& part = parts[batch.part];
  each_element(batch.count, [&](std::int64_t i) {
    const std::int64_t first = batch.step * part.global_batch;
    const std::int64_t place = part.first_row + i;
    const std::int64_t sample = sample_at(part, batch.epoch, first + place);
    const std::uint64_t key = draws_key(part, batch.epoch, sample);
    Row row = {};
    row.own = choose(part, sample, key);
    if (part.mixup > 0) {
      const std::int64_t partner = draw_partner(key, place, part.global_batch);
      const std::int64_t other = sample_at(part, batch.epoch, first + partner);
      row.other = choose(part, other, draws_key(part, batch.epoch, other));
      row.share = static_cast<float>(draw_share(key, part.mixup));
    }
    rows[i] = row;
  });
}

__device__ float raw_input(const DevicePart& part, std::int64_t at) {
  return part.bytes != nullptr ? static_cast<float>(part.bytes[at]) : part.floats[at];
}

// SampleWriter: one float of a row.
__device__ float input_of(const DevicePart& part, const ChosenSample& from, std::uint32_t inputs,
                          std::uint32_t input) {
  const std::uint32_t group = input / part.group_size;
  const float shift = part.shift[group];
  const float scale = part.scale[group];
  const std::int64_t image = from.sample * inputs;
  if (!part.changes_images) {
    return (raw_input(part, image + input) - shift) * scale;
  }
  const Change& change = from.change;
  const auto pixel = static_cast<std::int32_t>(input - group * part.group_size);
  const std::int32_t y = pixel / part.width;
  const std::int32_t x = pixel - y * part.width;
  if (y >= change.cut_y_begin && y < change.cut_y_end && x >= change.cut_x_begin && x < change.cut_x_end) {
    return 0;
  }
  const std::int32_t from_y = (change.flip_y != 0 ? part.height - 1 - y : y) + change.shift_y;
  const std::int32_t from_x = (change.flip_x != 0 ? part.width - 1 - x : x) + change.shift_x;
  const bool is_inside = from_y >= 0 && from_y < part.height && from_x >= 0 && from_x < part.width;
  const std::int64_t channel = image + static_cast<std::int64_t>(group) * part.group_size;
  const float raw = is_inside ? raw_input(part, channel + from_y * part.width + from_x) : 0.0F;
  return (raw - shift) * scale;
}

__device__ float target_of(const DevicePart& part, const ChosenSample& from, std::uint32_t targets,
                           std::uint32_t target) {
  return (part.targets[from.sample * targets + target] - part.target_shift[target]) *
         part.target_scale[target];
}

// Each step rounded as the host rounds it.
__device__ float mixed(float value, float other, float share) {
  return __fadd_rn(__fmul_rn(share, value), __fmul_rn(1 - share, other));
}

__device__ void write_input(const DevicePart& part, const Row& row, const Sizes& sizes, std::uint32_t input,
                            float* to) {
  float value = input_of(part, row.own, sizes.inputs, input);
  if (part.mixup > 0) {
    value = mixed(value, input_of(part, row.other, sizes.inputs, input), row.share);
  }
  *to = value;
}

__device__ void write_label(const DevicePart& part, const Row& row, const Sizes& sizes, std::int64_t index,
                            std::uint32_t label, const DeviceBatch& to) {
  const std::int64_t at = index * sizes.labels + label;
  to.labels[at] = part.labels[row.own.sample * sizes.labels + label];
  if (part.mixup > 0) {
    to.other_labels[at] = part.labels[row.other.sample * sizes.labels + label];
    if (label == 0) {
      to.label_shares[index] = row.share;
    }
  }
}

__device__ void write_target(const DevicePart& part, const Row& row, const Sizes& sizes, std::uint32_t target,
                             float* to) {
  float value = target_of(part, row.own, sizes.targets, target);
  if (part.mixup > 0) {
    value = mixed(value, target_of(part, row.other, sizes.targets, target), row.share);
  }
  *to = value;
}

__device__ void clear(const Sizes& sizes, std::int64_t index, std::uint32_t piece, const DeviceBatch& to) {
  if (piece < sizes.inputs) {
    to.inputs[index * sizes.inputs + piece] = 0;
    return;
  }
  const std::uint32_t answer = piece - sizes.inputs;
  if (sizes.targets > 0) {
    to.targets[index * sizes.targets + answer] = 0;
    return;
  }
  to.labels[index * sizes.labels + answer] = 0;
  to.other_labels[index * sizes.labels + answer] = 0;
  if (answer == 0) {
    to.label_shares[index] = 0;
  }
}

// The pieces of a row: its inputs, then its labels or targets.
__global__ void write_rows(RowWork work, const DevicePart* parts, Sizes sizes, StepNumbers numbers,
                           const Row* rows, DeviceBatch to) {
  const BatchNumbers& batch = *numbers.batch;
  const DevicePart& part = parts[batch.part];
  each_piece(work, [&](std::int64_t index, std::uint32_t piece) {
    if (index >= batch.count) {
      clear(sizes, index, piece, to);
    } else if (piece < sizes.inputs) {
      write_input(part, rows[index], sizes, piece, to.inputs + index * sizes.inputs + piece);
    } else if (sizes.targets > 0) {
      const std::uint32_t target = piece - sizes.inputs;
      write_target(part, rows[index], sizes, target, to.targets + index * sizes.targets + target);
    } else {
      write_label(part, rows[index], sizes, index, piece - sizes.inputs, to);
    }
  });
}

Sizes sizes_of(const Dataset& dataset) {
  const bool has_classes = dataset.task == Task::classification;
  return {.inputs = static_cast<std::uint32_t>(dataset.sample_size()),
          .labels = has_classes ? static_cast<std::uint32_t>(dataset.positions) : 0,
          .targets = has_classes ? 0 : static_cast<std::uint32_t>(dataset.target_names.size())};
}

// A part's memory besides its data set.
struct PartMemory {
  std::shared_ptr<const ResidentDataset> data;
  DeviceMemory samples;
  DeviceMemory normalization;  // shift, scale, target shift, target scale

  static std::vector<float> numbers_of(const Normalization& normalization) {
    std::vector<float> numbers;
    for (const auto* part : {&normalization.shift, &normalization.scale, &normalization.target_shift,
                             &normalization.target_scale}) {
      numbers.insert(numbers.end(), part->begin(), part->end());
    }
    return numbers;
  }

  static Result<PartMemory> make(ResidentDatasets& datasets, const Split& split) {
    PartMemory memory;
    ASSIGN_OR_RETURN(memory.data, datasets.find_or_copy(split.dataset));
    ASSIGN_OR_RETURN(memory.samples, device_copy(split.samples, "the samples' order"));
    ASSIGN_OR_RETURN(memory.normalization,
                     device_copy(numbers_of(*split.normalization), "the normalization"));
    return Result<PartMemory>(std::move(memory));  // nvcc does not move it by itself
  }
};

DevicePart part_of(const ResidentPart& part, const PartMemory& memory) {
  const Dataset& dataset = *part.split.dataset;
  const Normalization& normalization = *part.split.normalization;
  const LoaderOptions& options = part.options;
  const Augmentation& augmentation = options.augmentation;
  const BatchPlan plan(part.split.count(), options);
  const auto groups = static_cast<std::int64_t>(normalization.shift.size());
  const float* const shift = memory.normalization.as<float>();
  const float* const target_shift = shift + 2 * groups;
  DevicePart made{.bytes = memory.data->byte_inputs(),
                  .floats = memory.data->float_inputs(),
                  .labels = memory.data->labels(),
                  .targets = memory.data->targets(),
                  .samples = memory.samples.as<std::int64_t>(),
                  .shift = shift,
                  .scale = shift + groups,
                  .target_shift = target_shift,
                  .target_scale = target_shift + normalization.target_shift.size(),
                  .group_size = static_cast<std::uint32_t>(dataset.sample_size() / groups),
                  .sample_count = part.split.count(),
                  .global_batch = plan.global_batch(),
                  .first_row = plan.first_row(),
                  .is_shuffled = options.shuffle,
                  .order_key = data_order(options.seed).key(),
                  .draws_key = AugmentationDraws::stream(options.seed).key(),
                  .changes_images = augmentation.changes_images(),
                  .flips_y = augmentation.flip_vertically,
                  .flips_x = augmentation.flip_horizontally,
                  .crop_padding = static_cast<std::int32_t>(augmentation.crop_padding),
                  .cutout = static_cast<std::int32_t>(augmentation.cutout),
                  .mixup = augmentation.mixup};
  if (augmentation.changes_images()) {
    CHECK(dataset.sample_shape.size() == 3, "what is flipped, cropped or cut out is an image");
    made.height = static_cast<std::int32_t>(dataset.sample_shape[1]);
    made.width = static_cast<std::int32_t>(dataset.sample_shape[2]);
  }
  return made;
}

class ResidentFeed final : public BatchFeed {
 public:
  Status allocate(ResidentDatasets& datasets, std::span<const ResidentPart> parts) {
    std::vector<DevicePart> table;
    for (const ResidentPart& part : parts) {
      mixes_.push_back(part.options.augmentation.mixup > 0);
      DevicePart& made = table.emplace_back();
      if (part.split.count() == 0) {
        continue;
      }
      const Sizes sizes = sizes_of(*part.split.dataset);
      CHECK(sizes_.inputs == 0 || (sizes_.inputs == sizes.inputs && sizes_.labels == sizes.labels &&
                                   sizes_.targets == sizes.targets),
            "the parts have samples of one shape");
      sizes_ = sizes;
      capacity_ = std::max(capacity_, BatchPlan(part.split.count(), part.options).capacity());
      ASSIGN_OR_RETURN(PartMemory memory, PartMemory::make(datasets, part.split));
      made = part_of(part, memory);
      memory_.push_back(std::move(memory));
    }
    CHECK(sizes_.inputs > 0, "there is a part with samples");
    ASSIGN_OR_RETURN(parts_, device_copy(table, "the batches"));
    ASSIGN_OR_RETURN(rows_, DeviceMemory::allocate(static_cast<std::size_t>(capacity_) * sizeof(Row),
                                                   "the batches"));
    return {};
  }

  bool is_mixed(const BatchView& batch) const override {
    return sizes_.labels > 0 && mixes_[static_cast<std::size_t>(batch.part)];
  }

  Status stage(const BatchView& batch, cudaStream_t /*stream*/) override {
    CHECK(batch.count <= capacity_ && static_cast<std::size_t>(batch.part) < mixes_.size());
    return {};
  }

  Status enqueue(const DeviceBatch& to, std::int64_t rows, const StepNumbers& numbers,
                 cudaStream_t stream) override {
    constexpr int kThreads = 64;  // their chains of random numbers are long: over many multiprocessors
    launch(choose_rows, one_thread_each(capacity_, kThreads), stream, parts_.as<DevicePart>(), numbers,
           rows_.as<Row>());
    const RowWork work = row_work(rows, sizes_.inputs + sizes_.answers());
    launch(write_rows, launch_shape(work), stream, work, parts_.as<DevicePart>(), sizes_, numbers,
           rows_.as<Row>(), to);
    return {};
  }

  Status enqueued(cudaStream_t /*stream*/) override { return {}; }

 private:
  Sizes sizes_;
  std::int64_t capacity_ = 0;  // the largest of the parts'
  std::vector<bool> mixes_;    // one a part
  std::vector<PartMemory> memory_;
  DeviceMemory parts_;
  DeviceMemory rows_;
};

}  // namespace

std::size_t resident_bytes(std::span<const ResidentPart> parts) {
  std::vector<const Dataset*> counted;
  std::size_t bytes = 0;
  for (const ResidentPart& part : parts) {
    if (part.split.count() == 0) {
      continue;
    }
    const Dataset* const dataset = part.split.dataset.get();
    if (std::ranges::find(counted, dataset) == counted.end()) {
      counted.push_back(dataset);
      bytes += ResidentDataset::bytes_of(*dataset);
    }
    bytes += part.split.samples.size() * sizeof(std::int64_t) +
             PartMemory::numbers_of(*part.split.normalization).size() * sizeof(float) + sizeof(DevicePart) +
             static_cast<std::size_t>(BatchPlan(part.split.count(), part.options).capacity()) * sizeof(Row);
  }
  return bytes;
}

Result<std::unique_ptr<BatchFeed>> make_resident_feed(ResidentDatasets& datasets,
                                                      std::span<const ResidentPart> parts) {
  auto feed = std::make_unique<ResidentFeed>();
  RETURN_IF_ERROR(feed->allocate(datasets, parts));
  return std::unique_ptr<BatchFeed>(std::move(feed));
}

}  // namespace regatta::cuda

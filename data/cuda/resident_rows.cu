// Two kernels a step: one chooses each row's sample and what is done to it, the other writes the rows.
#include "data/augmentation.h"
#include "data/cuda/resident_rows.h"
#include "models/cuda/device.h"
#include "models/cuda/launch.h"
#include "models/cuda/random_device.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

using Draw = AugmentationDraws::Draw;

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
__global__ void choose_rows(const DevicePart* parts, StepNumbers numbers, ChosenRow* rows) {
  const BatchNumbers& batch = *numbers.batch;
  const DevicePart& part = parts[batch.part];
  each_element(batch.count, [&](std::int64_t i) {
    const std::int64_t first = batch.step * part.global_batch;
    const std::int64_t place = part.first_row + i;
    const std::int64_t sample = sample_at(part, batch.epoch, first + place);
    const std::uint64_t key = draws_key(part, batch.epoch, sample);
    ChosenRow row = {};
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

__device__ void write_input(const DevicePart& part, const ChosenRow& row, const SampleSizes& sizes,
                            std::uint32_t input, float* to) {
  float value = input_of(part, row.own, sizes.inputs, input);
  if (part.mixup > 0) {
    value = mixed(value, input_of(part, row.other, sizes.inputs, input), row.share);
  }
  *to = value;
}

__device__ void write_label(const DevicePart& part, const ChosenRow& row, const SampleSizes& sizes,
                            std::int64_t index, std::uint32_t label, const DeviceBatch& to) {
  const std::int64_t at = index * sizes.labels + label;
  to.labels[at] = part.labels[row.own.sample * sizes.labels + label];
  if (part.mixup > 0) {
    to.other_labels[at] = part.labels[row.other.sample * sizes.labels + label];
    if (label == 0) {
      to.label_shares[index] = row.share;
    }
  }
}

__device__ void write_target(const DevicePart& part, const ChosenRow& row, const SampleSizes& sizes,
                             std::uint32_t target, float* to) {
  float value = target_of(part, row.own, sizes.targets, target);
  if (part.mixup > 0) {
    value = mixed(value, target_of(part, row.other, sizes.targets, target), row.share);
  }
  *to = value;
}

__device__ void clear(const SampleSizes& sizes, std::int64_t index, std::uint32_t piece,
                      const DeviceBatch& to) {
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
__global__ void write_rows(RowWork work, const DevicePart* parts, SampleSizes sizes, StepNumbers numbers,
                           const ChosenRow* rows, DeviceBatch to) {
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

}  // namespace

void enqueue_rows(const ResidentRows& resident, const DeviceBatch& to, std::int64_t rows,
                  const StepNumbers& numbers, cudaStream_t stream) {
  constexpr int kThreads = 64;  // their chains of random numbers are long: over many multiprocessors
  launch(choose_rows, one_thread_each(resident.capacity, kThreads), stream, resident.parts, numbers,
         resident.chosen);
  const SampleSizes& sizes = resident.sizes;
  const RowWork work = row_work(rows, std::int64_t{sizes.inputs} + sizes.labels + sizes.targets);
  launch(write_rows, launch_shape(work), stream, work, resident.parts, sizes, numbers, resident.chosen, to);
}

}  // namespace regatta::cuda

// One kernel a step: a block chooses its rows' samples and what is done to them, and writes the rows.
#include <algorithm>

#include "data/augmentation.h"
#include "data/cuda/resident_rows.h"
#include "models/cuda/batch_input.h"
#include "models/cuda/device.h"
#include "models/cuda/launch.h"
#include "models/cuda/random_device.h"
#include "models/cuda/row_work.h"
#include "models/cuda/step_start.h"

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

__device__ ChosenRow choose_row(const DevicePart& part, const BatchNumbers& batch, std::int64_t index) {
  const std::int64_t first = batch.step * part.global_batch;
  const std::int64_t place = part.first_row + index;
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
  return row;
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

__device__ float made_input(const DevicePart& part, const ChosenRow& row, const SampleSizes& sizes,
                            std::uint32_t input) {
  const float value = input_of(part, row.own, sizes.inputs, input);
  return part.mixup > 0 ? mixed(value, input_of(part, row.other, sizes.inputs, input), row.share) : value;
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

__device__ void clear_answer(const SampleSizes& sizes, std::int64_t index, std::uint32_t answer,
                             const DeviceBatch& to) {
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

constexpr std::uint32_t kMostRowsPerBlock = 16;

// The pieces of a row: its inputs, then its labels or targets.
__device__ void write_piece(const DevicePart& part, const ChosenRow& row, bool is_used,
                            const SampleSizes& sizes, std::int64_t index, std::uint32_t piece,
                            const DeviceBatch& to) {
  if (piece < sizes.inputs) {
    const std::uint32_t input = input_at(to.layout, piece);
    write_input(to, index * sizes.inputs + piece, is_used ? made_input(part, row, sizes, input) : 0);
  } else if (!is_used) {
    clear_answer(sizes, index, piece - sizes.inputs, to);
  } else if (sizes.targets > 0) {
    const std::uint32_t target = piece - sizes.inputs;
    write_target(part, row, sizes, target, to.targets + index * sizes.targets + target);
  } else {
    write_label(part, row, sizes, index, piece - sizes.inputs, to);
  }
}

// A block makes rows_per_block rows after another, and chooses their samples for itself.
__global__ void make_rows(RowWork work, const DevicePart* parts, SampleSizes sizes, StepStart start,
                          DeviceBatch to) {
  __shared__ ChosenRow chosen[kMostRowsPerBlock];
  const BatchNumbers batch = begin_step(start);
  const DevicePart& part = parts[batch.part];
  const std::int64_t stride = std::int64_t{gridDim.x} * work.rows_per_block;
  for (std::int64_t first = std::int64_t{blockIdx.x} * work.rows_per_block; first < work.rows;
       first += stride) {
    __syncthreads();  // the rows before have been made
    if (threadIdx.x < work.rows_per_block && first + threadIdx.x < batch.count) {
      chosen[threadIdx.x] = choose_row(part, batch, first + threadIdx.x);
    }
    __syncthreads();
    each_piece_from(first, work, [&](std::int64_t index, std::uint32_t piece) {
      write_piece(part, chosen[index - first], index < batch.count, sizes, index, piece, to);
    });
  }
  end_step_start(start);
}

}  // namespace

void enqueue_rows(const DevicePart* parts, const SampleSizes& sizes, const DeviceBatch& to, std::int64_t rows,
                  const StepStart& start, cudaStream_t stream) {
  RowWork work = row_work(rows, std::int64_t{sizes.inputs} + sizes.labels + sizes.targets);
  work.rows_per_block = std::min(work.rows_per_block, kMostRowsPerBlock);
  LaunchShape shape = launch_shape(work);
  shape.grid.x = std::min(shape.grid.x, kMostStartBlocks);
  // Blocks beside each other choose the same rows, which shall be little beside what they write.
  shape.grid.y = std::clamp(kMostStartBlocks / shape.grid.x, 1U, shape.grid.y);
  launch(make_rows, shape, stream, work, parts, sizes, start, to);
}

}  // namespace regatta::cuda

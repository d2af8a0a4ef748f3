// The kernel that makes a batch of data on the device, and what they are told of the data.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "models/cuda/batch.h"
#include "models/cuda/step_numbers.h"

namespace regatta::cuda {

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

// As ImageChange. No initial values: the kernel fills them.
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
struct ChosenRow {
  ChosenSample own;
  ChosenSample other;  // mixup
  float share;         // of `own`
};

// What a sample has.
struct SampleSizes {
  std::uint32_t inputs = 0;
  std::uint32_t labels = 0;   // 0: regression
  std::uint32_t targets = 0;  // 0: classification
};

// `to` has `rows` rows.
void enqueue_rows(const DevicePart* parts, const SampleSizes& sizes, const DeviceBatch& to, std::int64_t rows,
                  const StepStart& start, cudaStream_t stream);

}  // namespace regatta::cuda

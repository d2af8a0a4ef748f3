// What the kernel needs of a split, and the order of calls of a feed that has nothing to bring.
#include "data/cuda/resident_feed.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "data/augmentation.h"
#include "data/cuda/resident_rows.h"
#include "models/cuda/runtime.h"

namespace regatta::cuda {
namespace {

SampleSizes sizes_of(const Dataset& dataset) {
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
    return memory;
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
      const SampleSizes sizes = sizes_of(*part.split.dataset);
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
    return {};
  }

  bool is_mixed(const BatchView& batch) const override {
    return sizes_.labels > 0 && mixes_[static_cast<std::size_t>(batch.part)];
  }

  Status stage(const BatchView& batch, cudaStream_t /*stream*/) override {
    CHECK(batch.count <= capacity_ && static_cast<std::size_t>(batch.part) < mixes_.size());
    return {};
  }

  Status enqueue(const DeviceBatch& to, std::int64_t rows, const StepStart& start,
                 cudaStream_t stream) override {
    enqueue_rows(parts_.as<DevicePart>(), sizes_, to, rows, start, stream);
    return {};
  }

  Status enqueued(cudaStream_t /*stream*/) override { return {}; }

 private:
  SampleSizes sizes_;
  std::int64_t capacity_ = 0;  // the largest of the parts'
  std::vector<bool> mixes_;    // one a part
  std::vector<PartMemory> memory_;
  DeviceMemory parts_;
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
             PartMemory::numbers_of(*part.split.normalization).size() * sizeof(float) + sizeof(DevicePart);
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

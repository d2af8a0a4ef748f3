// Room for the largest batch, in words of four bytes whatever the inputs' type.
#include "models/cuda/batch_memory.h"

namespace regatta::cuda {

Result<BatchMemory> BatchMemory::allocate(const BatchSizes& sizes) {
  const auto words = [&](std::int64_t of_sample) {
    return DeviceMemory::allocate(static_cast<std::size_t>(sizes.rows * of_sample) * sizeof(float),
                                  "a batch");
  };
  BatchMemory memory;
  ASSIGN_OR_RETURN(memory.inputs_, words(sizes.inputs));
  ASSIGN_OR_RETURN(memory.labels_, words(sizes.labels));
  ASSIGN_OR_RETURN(memory.targets_, words(sizes.targets));
  ASSIGN_OR_RETURN(memory.other_labels_, words(sizes.labels));
  ASSIGN_OR_RETURN(memory.label_shares_, words(1));
  return memory;
}

DeviceBatch BatchMemory::batch(const InputLayout& layout) const {
  return {.inputs = inputs_.data(),
          .layout = layout,
          .labels = labels_.as<std::int32_t>(),
          .targets = targets_.as<float>(),
          .other_labels = other_labels_.as<std::int32_t>(),
          .label_shares = label_shares_.as<float>()};
}

}  // namespace regatta::cuda

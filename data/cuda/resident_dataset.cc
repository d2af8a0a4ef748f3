// The values go over as they are: bytes stay bytes, a quarter of the memory.
#include "data/cuda/resident_dataset.h"

#include <algorithm>

namespace regatta::cuda {
namespace {

constexpr std::string_view kWhat = "the data set";

}  // namespace

std::size_t ResidentDataset::bytes_of(const Dataset& dataset) {
  const std::size_t inputs =
      std::visit([](const auto& values) { return values.size() * sizeof(values.front()); }, dataset.inputs);
  return inputs + dataset.labels.size() * sizeof(std::int32_t) + dataset.targets.size() * sizeof(float);
}

Result<std::shared_ptr<const ResidentDataset>> ResidentDataset::copy_of(const Dataset& dataset) {
  auto resident = std::make_shared<ResidentDataset>();
  resident->has_bytes_ = std::holds_alternative<std::vector<std::uint8_t>>(dataset.inputs);
  ASSIGN_OR_RETURN(resident->inputs_,
                   std::visit([](const auto& values) { return device_copy(values, kWhat); }, dataset.inputs));
  ASSIGN_OR_RETURN(resident->labels_, device_copy(dataset.labels, kWhat));
  ASSIGN_OR_RETURN(resident->targets_, device_copy(dataset.targets, kWhat));
  return std::shared_ptr<const ResidentDataset>(std::move(resident));
}

std::size_t ResidentDatasets::held_bytes() {
  std::erase_if(entries_, [](const Entry& entry) { return entry.source.expired(); });
  std::size_t bytes = 0;
  for (const Entry& entry : entries_) {
    if (const auto source = entry.source.lock()) {
      bytes += ResidentDataset::bytes_of(*source);
    }
  }
  return bytes;
}

Result<std::shared_ptr<const ResidentDataset>> ResidentDatasets::find_or_copy(
    const std::shared_ptr<const Dataset>& dataset) {
  std::erase_if(entries_, [](const Entry& entry) { return entry.source.expired(); });
  const auto entry = std::ranges::find_if(
      entries_, [&](const Entry& candidate) { return candidate.source.lock() == dataset; });
  if (entry != entries_.end()) {
    return entry->resident;
  }
  ASSIGN_OR_RETURN(auto resident, ResidentDataset::copy_of(*dataset));
  entries_.push_back({.source = dataset, .resident = resident});
  return resident;
}

}  // namespace regatta::cuda

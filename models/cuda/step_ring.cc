// Slots in memory that host and device share.
#include "models/cuda/step_ring.h"

#include <utility>

namespace regatta::cuda {
namespace {

constexpr std::size_t kWord = sizeof(std::uint32_t);

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

}  // namespace

std::size_t StepRing::slot_bytes() const {
  return aligned(sizeof(BatchNumbers)) + aligned(static_cast<std::size_t>(lanes_) * sizeof(LaneNumbers)) +
         aligned(static_cast<std::size_t>(lanes_ * dropouts_) * sizeof(DropoutNumbers));
}

Result<StepRing> StepRing::create(int lanes, int dropouts) {
  StepRing ring;
  ring.lanes_ = lanes;
  ring.dropouts_ = dropouts;
  ASSIGN_OR_RETURN(ring.slots_, SharedHostMemory::allocate(kSlots * ring.slot_bytes()));
  ASSIGN_OR_RETURN(ring.current_, DeviceMemory::allocate(ring.slot_bytes(), "a step's numbers"));
  ASSIGN_OR_RETURN(ring.position_, DeviceMemory::allocate(sizeof(std::int64_t), "a step's numbers"));
  ASSIGN_OR_RETURN(ring.finished_, DeviceMemory::allocate(sizeof(unsigned), "a step's numbers"));
  for (int slot = 0; slot < kSlots; ++slot) {
    ASSIGN_OR_RETURN(Event done, Event::create());
    ring.done_.push_back(std::move(done));
  }
  return Result<StepRing>(std::move(ring));  // nvcc does not move it by itself
}

Result<StepRing::Slot> StepRing::next() {
  const auto index = static_cast<std::size_t>(written_ % kSlots);
  if (written_ >= kSlots) {
    RETURN_IF_ERROR(wait_for(done_[index], "waiting for an earlier step"));
  }
  ++written_;
  std::byte* at = slots_.data() + index * slot_bytes();
  Slot slot{.batch = reinterpret_cast<BatchNumbers*>(at)};
  at += aligned(sizeof(BatchNumbers));
  const auto lanes = static_cast<std::size_t>(lanes_);
  slot.lanes = {reinterpret_cast<LaneNumbers*>(at), lanes};
  at += aligned(lanes * sizeof(LaneNumbers));
  slot.dropouts = {reinterpret_cast<DropoutNumbers*>(at), lanes * static_cast<std::size_t>(dropouts_)};
  return slot;
}

StepStart StepRing::start() const {
  return {.slots = reinterpret_cast<const std::uint32_t*>(slots_.data()),
          .slot_words = static_cast<std::int64_t>(slot_bytes() / kWord),
          .slot_count = kSlots,
          .position = position_.as<std::int64_t>(),
          .finished = finished_.as<unsigned>(),
          .current = current_.as<std::uint32_t>()};
}

Status StepRing::enqueued(cudaStream_t stream) {
  const auto index = static_cast<std::size_t>((written_ - 1) % kSlots);
  return check(cudaEventRecord(done_[index].get(), stream), "marking a step's end");
}

StepNumbers StepRing::numbers() const {
  const std::byte* at = current_.data();
  StepNumbers numbers{.batch = reinterpret_cast<const BatchNumbers*>(at)};
  at += aligned(sizeof(BatchNumbers));
  numbers.lanes = reinterpret_cast<const LaneNumbers*>(at);
  at += aligned(static_cast<std::size_t>(lanes_) * sizeof(LaneNumbers));
  numbers.dropouts = reinterpret_cast<const DropoutNumbers*>(at);
  return numbers;
}

}  // namespace regatta::cuda

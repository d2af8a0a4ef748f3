// A ring of event pairs, oldest first.
#include "collectives/cuda/stream_events.h"

#include <fmt/format.h>

namespace regatta {
namespace {

Result<bool> has_passed(cudaEvent_t event) {
  const cudaError_t code = cudaEventQuery(event);
  if (code == cudaErrorNotReady) {
    (void)cudaGetLastError();
    return false;
  }
  RETURN_IF_ERROR(check_cuda(code, "an operation on the card"));
  return true;
}

}  // namespace

Status check_cuda(cudaError_t code, const char* what) {
  if (code == cudaSuccess) {
    return {};
  }
  (void)cudaGetLastError();
  return failure(fmt::format("{}: CUDA says: {}", what, cudaGetErrorString(code)));
}

Result<std::unique_ptr<StreamEvents>> StreamEvents::make() {
  std::unique_ptr<StreamEvents> events(new StreamEvents);
  events->slots_.resize(kMostOperations);
  for (Slot& slot : events->slots_) {
    RETURN_IF_ERROR(
        check_cuda(cudaEventCreateWithFlags(&slot.begin, cudaEventDisableTiming), "cudaEventCreate"));
    RETURN_IF_ERROR(
        check_cuda(cudaEventCreateWithFlags(&slot.end, cudaEventDisableTiming), "cudaEventCreate"));
  }
  return events;
}

StreamEvents::~StreamEvents() {
  for (const Slot& slot : slots_) {
    for (cudaEvent_t event : {slot.begin, slot.end}) {
      if (event != nullptr) {
        (void)cudaEventDestroy(event);
      }
    }
  }
}

Status StreamEvents::begin(std::uint64_t number, cudaStream_t stream) {
  CHECK(!is_full());
  Slot& next = slot(used_);
  RETURN_IF_ERROR(check_cuda(cudaEventRecord(next.begin, stream), "cudaEventRecord"));
  next.number = number;
  next.has_end = false;
  ++used_;
  return {};
}

Status StreamEvents::end(std::uint64_t number, cudaStream_t stream) {
  std::size_t place = used_;
  while (place > 0 && slot(place - 1).number != number) {
    --place;
  }
  CHECK(place > 0, "an operation ends once, after its begin");
  Slot& ended = slot(place - 1);
  RETURN_IF_ERROR(check_cuda(cudaEventRecord(ended.end, stream), "cudaEventRecord"));
  ended.has_end = true;
  return {};
}

Status StreamEvents::look(DeviceOperations& operations) {
  while (used_ > 0) {
    const Slot& oldest = slot(0);
    ASSIGN_OR_RETURN(const bool has_begun, has_passed(oldest.begin));
    if (!has_begun) {
      return {};
    }
    operations.note(oldest.number, DeviceProgress::begun);
    if (!oldest.has_end) {
      return {};
    }
    ASSIGN_OR_RETURN(const bool has_ended, has_passed(oldest.end));
    if (!has_ended) {
      return {};
    }
    operations.note(oldest.number, DeviceProgress::ended);
    first_ = (first_ + 1) % slots_.size();
    --used_;
  }
  return {};
}

}  // namespace regatta

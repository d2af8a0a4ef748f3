// Moments on a device's stream, whose distances in time are told.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "base/result.h"
#include "models/cuda/runtime.h"

namespace regatta::cuda {

class TimedEvent {
 public:
  static Result<TimedEvent> create() {
    TimedEvent event;
    RETURN_IF_ERROR(check(cudaEventCreate(&event.event_), "creating an event"));
    return event;
  }
  TimedEvent() = default;
  TimedEvent(TimedEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
  TimedEvent& operator=(TimedEvent&& other) noexcept {
    std::swap(event_, other.event_);
    return *this;
  }
  ~TimedEvent() {
    if (event_ != nullptr) {
      cudaEventDestroy(event_);
    }
  }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// Of events that have passed.
inline Result<double> seconds_between(cudaEvent_t from, cudaEvent_t to) {
  float milliseconds = 0;
  RETURN_IF_ERROR(check(cudaEventElapsedTime(&milliseconds, from, to), "reading a time"));
  return 1e-3 * static_cast<double>(milliseconds);
}

}  // namespace regatta::cuda

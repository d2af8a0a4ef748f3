// The CUDA runtime's functions about streams and events, for the emulated device.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <mutex>

#include "emulated_cuda/stream.h"

namespace regatta {
namespace {

double milliseconds_now() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// What a call that waits for `queue` answers while the queue is captured; the capture is lost.
cudaError_t refuse_waiting(const StreamQueue& queue) {
  if (queue.capture == nullptr) {
    return cudaSuccess;
  }
  queue.capture->invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}

cudaError_t query(const Moment& moment) {
  if (!moment.queue->done(moment.number)) {
    moment.queue->run_one_step(moment.number);
  }
  return moment.queue->done(moment.number) ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t wait_for_captured(StreamQueue& queue, const std::shared_ptr<StreamQueue>& shared,
                              const CUevent_st& event) {
  if (event.capture->ended || event.capture->invalid) {
    return event.capture->invalid && !event.capture->ended ? cudaErrorStreamCaptureInvalidated
                                                           : cudaErrorInvalidValue;
  }
  if (queue.capture == nullptr) {  // joins the capture
    queue.capture = event.capture;
    queue.capture_ends = event.captured_ends;
    event.capture->streams.push_back(shared);
    return cudaSuccess;
  }
  if (queue.capture != event.capture) {
    queue.capture->invalid = true;
    event.capture->invalid = true;
    return cudaErrorStreamCaptureMerge;
  }
  for (const int node : event.captured_ends) {
    if (std::find(queue.capture_ends.begin(), queue.capture_ends.end(), node) == queue.capture_ends.end()) {
      queue.capture_ends.push_back(node);
    }
  }
  return cudaSuccess;
}

cudaError_t create_stream(cudaStream_t* stream, unsigned flags, int priority = 0) {
  const std::lock_guard lock(emulated_streams().mutex);
  *stream = new CUstream_st{emulated_streams().create((flags & cudaStreamNonBlocking) == 0, priority)};
  return cudaSuccess;
}

}  // namespace
}  // namespace regatta

using namespace regatta;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return create_stream(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return create_stream(stream, flags);
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority) {
  return create_stream(stream, flags, priority);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

// Its work is done in its time, the handle is gone at once.
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  if (stream == nullptr) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  if (stream->queue->capture != nullptr) {
    stream->queue->capture->invalid = true;
  }
  stream->queue->run_until(stream->queue->issued());
  streams.forget(stream->queue.get());
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  const auto queue = streams.queue_of(stream);
  const cudaError_t refused = queue == nullptr ? cudaErrorInvalidResourceHandle : refuse_waiting(*queue);
  if (refused != cudaSuccess) {
    return keep_error(refused);
  }
  if (queue == streams.legacy()) {  // takes in the streams that wait for it
    const cudaError_t error = streams.add(stream, nullptr, {.what = "wait"});
    if (error != cudaSuccess) {
      return keep_error(error);
    }
  }
  streams.finish({queue, queue->issued()});
  return cudaSuccess;
}

// Each question lets the stream come one piece of work further.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(emulated_streams().mutex);
  const auto queue = emulated_streams().queue_of(stream);
  const cudaError_t refused = queue == nullptr ? cudaErrorInvalidResourceHandle : refuse_waiting(*queue);
  return keep_error(refused != cudaSuccess ? refused : query({queue, queue->issued()}));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  const auto queue = streams.queue_of(stream);
  if (queue == nullptr || event == nullptr) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  if (event->capture != nullptr) {
    return keep_error(wait_for_captured(*queue, queue, *event));
  }
  if (!event->recorded) {
    return cudaSuccess;
  }
  if (queue->capture != nullptr) {
    queue->capture->invalid = true;
    return keep_error(cudaErrorStreamCaptureIsolation);
  }
  queue->add(nullptr, {event->moment});
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  const std::lock_guard lock(emulated_streams().mutex);
  return keep_error(emulated_streams().add(stream, [function, data] { function(data); }, {.what = "host"}));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (event == nullptr) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  const auto queue = streams.queue_of(stream);
  if (event == nullptr || queue == nullptr) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  if (queue->capture != nullptr) {
    if (queue->capture->invalid) {
      return keep_error(cudaErrorStreamCaptureInvalidated);
    }
    event->capture = queue->capture;
    event->captured_ends = queue->capture_ends;
    return cudaSuccess;
  }
  const auto milliseconds = std::make_shared<double>(0);
  const cudaError_t error =
      streams.add(stream, [milliseconds] { *milliseconds = milliseconds_now(); }, {.what = "event"});
  if (error == cudaSuccess) {
    event->capture = nullptr;
    event->recorded = true;
    event->moment = {queue, queue->issued()};
    event->milliseconds = milliseconds;
  }
  return keep_error(error);
}

// An external event becomes a node of the graph. Each run of it is told as one that is over: who has not
// waited for the graph reads the time of an earlier run, or none.
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned flags) {
  EmulatedStreams& streams = emulated_streams();
  const std::lock_guard lock(streams.mutex);
  const auto queue = streams.queue_of(stream);
  if (event == nullptr || queue == nullptr || (flags & cudaEventRecordExternal) == 0) {
    return cudaEventRecord(event, stream);
  }
  if (queue->capture == nullptr) {
    return keep_error(cudaErrorInvalidValue);
  }
  return keep_error(streams.add(stream,
                                [event] {
                                  event->recorded = true;
                                  event->moment = {emulated_streams().legacy(), 0};
                                  *event->milliseconds = milliseconds_now();
                                },
                                {.what = "event"}));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (event == nullptr) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  if (event->capture != nullptr) {
    event->capture->invalid = true;
    return keep_error(cudaErrorCapturedEvent);
  }
  if (event->recorded) {
    emulated_streams().finish(event->moment);
  }
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (event == nullptr) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  if (event->capture != nullptr) {
    event->capture->invalid = true;
    return keep_error(cudaErrorCapturedEvent);
  }
  return event->recorded ? query(event->moment) : cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const std::lock_guard lock(emulated_streams().mutex);
  if (from == nullptr || to == nullptr || !from->recorded || !to->recorded || !from->timed || !to->timed) {
    return keep_error(cudaErrorInvalidResourceHandle);
  }
  for (const CUevent_st* const event : {from, to}) {
    if (!event->moment.queue->done(event->moment.number)) {
      return cudaErrorNotReady;
    }
  }
  *milliseconds = static_cast<float>(*to->milliseconds - *from->milliseconds);
  return cudaSuccess;
}

}  // extern "C"

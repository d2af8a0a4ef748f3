// See stream.h.
#include "emulated_cuda/stream.h"

#include <algorithm>
#include <utility>

#include "emulated_cuda/failure.h"
#include "emulated_cuda/memory.h"
#include "emulated_cuda/order.h"

namespace regatta {

EmulatedStreams& emulated_streams() {
  static auto* const streams = new EmulatedStreams;  // outlives every destructor that frees a stream
  return *streams;
}

void StreamQueue::add(DeviceWork work, std::vector<Moment> after) {
  pending_.push_back({std::move(work), std::move(after)});
  ++issued_;
}

void StreamQueue::run_until(std::uint64_t number) {
  while (!done(number)) {
    for (const Moment& moment : pending_.front().after) {
      moment.queue->run_until(moment.number);
    }
    run_front();
  }
}

void StreamQueue::run_one_step(std::uint64_t number) {
  if (done(number)) {
    return;
  }
  for (const Moment& moment : pending_.front().after) {
    if (!moment.queue->done(moment.number)) {
      moment.queue->run_one_step(moment.number);
      return;
    }
  }
  run_front();
}

void StreamQueue::run_front() {
  const Piece piece = std::move(pending_.front());
  pending_.pop_front();
  if (piece.work) {
    watch_faults();
    const EmulatedMemory::Access access(emulated_memory());
    piece.work();
  }
  ++completed_;
}

std::shared_ptr<StreamQueue> EmulatedStreams::create(bool waits_for_legacy, int priority) {
  queues_.push_back(std::make_shared<StreamQueue>(waits_for_legacy, priority));
  return queues_.back();
}

void EmulatedStreams::forget(const StreamQueue* queue) {
  std::erase_if(queues_, [queue](const auto& known) { return known.get() == queue; });
}

std::shared_ptr<StreamQueue> EmulatedStreams::queue_of(cudaStream_t stream) const {
  if (stream == nullptr || stream == cudaStreamLegacy) {
    return legacy_;
  }
  return stream == cudaStreamPerThread ? nullptr : stream->queue;
}

cudaError_t EmulatedStreams::add(cudaStream_t stream, DeviceWork work, WorkName name) {
  const std::shared_ptr<StreamQueue> queue = queue_of(stream);
  if (queue == nullptr) {
    return cudaErrorInvalidResourceHandle;
  }
  if (queue->capture != nullptr) {
    Capture& capture = *queue->capture;
    if (capture.invalid) {
      return cudaErrorStreamCaptureInvalidated;
    }
    capture.nodes.push_back({std::move(work), name, queue->capture_ends, queue->priority()});
    queue->capture_ends = {static_cast<int>(capture.nodes.size()) - 1};
    return cudaSuccess;
  }
  std::vector<Moment> after;
  if (queue == legacy_) {  // comes after all earlier work of the streams that wait for it
    for (const auto& other : queues_) {
      if (!other->waits_for_legacy()) {
        continue;
      }
      if (other->capture != nullptr) {
        other->capture->invalid = true;
        return cudaErrorStreamCaptureImplicit;
      }
      after.push_back({other, other->issued()});
    }
  } else if (queue->waits_for_legacy()) {
    after.push_back({legacy_, legacy_->issued()});
  }
  queue->add(std::move(work), std::move(after));
  return cudaSuccess;
}

void EmulatedStreams::finish(const Moment& moment) {
  const EmulatedMemory::Access access(
      emulated_memory());  // once for all that runs: opening pages takes its time
  if (order_chooser().order() == EmulatedOrder::kReversed) {
    for (const auto& queue : queues_) {  // all that may run does, before what was asked for
      queue->run_until(queue->issued());
    }
  } else if (order_chooser().order() == EmulatedOrder::kRandom && !queues_.empty()) {
    const auto& queue = queues_[order_chooser().pick(queues_.size())];
    for (std::size_t steps = order_chooser().pick(8); steps > 0; --steps) {
      queue->run_one_step(queue->issued());
    }
  }
  moment.queue->run_until(moment.number);
  emulated_memory().check_guards();
}

void EmulatedStreams::finish_everything() {
  const EmulatedMemory::Access access(emulated_memory());
  finish({legacy_, legacy_->issued()});
  const DecidedOrder order(queues_.size());
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    queues_[order[i]]->run_until(queues_[order[i]]->issued());
  }
  emulated_memory().check_guards();
}

cudaError_t EmulatedStreams::refuse_while_capturing() {
  for (const auto& capture : captures) {
    const bool forbids =
        capture->mode == cudaStreamCaptureModeGlobal ||
        (capture->mode == cudaStreamCaptureModeThreadLocal && capture->thread == std::this_thread::get_id());
    if (forbids) {
      capture->invalid = true;
      return cudaErrorStreamCaptureUnsupported;
    }
  }
  return cudaSuccess;
}

// Of the nodes that may run, forward takes the latest captured: as far from the order of the calls as the
// edges allow, so that a missing edge shows. Reversed is then the order of the calls.
void run_graph(const GraphNodes& nodes) {
  std::vector<std::vector<int>> followers(nodes.size());
  std::vector<std::size_t> missing(nodes.size());
  std::vector<int> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    missing[i] = nodes[i].after.size();
    for (const int earlier : nodes[i].after) {
      followers[earlier].push_back(static_cast<int>(i));
    }
    if (missing[i] == 0) {
      ready.push_back(static_cast<int>(i));
    }
  }
  while (!ready.empty()) {
    std::sort(ready.begin(), ready.end(), std::greater<>());
    const auto chosen = ready.begin() + static_cast<std::ptrdiff_t>(order_chooser().pick(ready.size()));
    const int node = *chosen;
    ready.erase(chosen);
    if (nodes[node].work) {
      nodes[node].work();
    }
    for (const int follower : followers[node]) {
      if (--missing[follower] == 0) {
        ready.push_back(follower);
      }
    }
  }
}

}  // namespace regatta

// The emulated device's streams, events and graphs: what the CUDA runtime's opaque handles point to.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace regatta {

using DeviceWork = std::function<void()>;

class StreamQueue;

// The end of a stream's `number`-th piece of work.
struct Moment {
  std::shared_ptr<StreamQueue> queue;
  std::uint64_t number = 0;
};

// What a piece of work is, for those who count: a kernel by its function, else a word.
struct WorkName {
  const char* what = "kernel";
  const void* kernel = nullptr;
};

struct GraphNode {
  DeviceWork work;
  WorkName name;
  std::vector<int> after;  // earlier nodes
  int priority = 0;        // of its stream
};
using GraphNodes = std::vector<GraphNode>;

// A capture that goes on, in its first stream and in those that have joined it by waiting for its events.
struct Capture {
  GraphNodes nodes;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  StreamQueue* origin = nullptr;
  std::vector<std::shared_ptr<StreamQueue>> streams;
  bool invalid = false;
  bool ended = false;
};

// The work of one stream in its order. Nothing runs before somebody needs its end.
class StreamQueue {
 public:
  explicit StreamQueue(bool waits_for_legacy, int priority = 0)
      : waits_for_legacy_(waits_for_legacy), priority_(priority) {}

  void add(DeviceWork work, std::vector<Moment> after);
  bool done(std::uint64_t number) const { return completed_ >= number; }
  void run_until(std::uint64_t number);
  void run_one_step(
      std::uint64_t number);  // one piece of work on the way to `number`, perhaps another stream's
  std::uint64_t issued() const { return issued_; }
  bool waits_for_legacy() const { return waits_for_legacy_; }
  int priority() const { return priority_; }  // changes nothing here

  std::shared_ptr<Capture> capture;  // null: not capturing
  std::vector<int> capture_ends;     // nodes that the next one comes after

 private:
  struct Piece {
    DeviceWork work;
    std::vector<Moment> after;
  };
  void run_front();

  std::deque<Piece> pending_;
  std::uint64_t issued_ = 0;
  std::uint64_t completed_ = 0;
  bool waits_for_legacy_;
  int priority_;
};

// All streams of the device, and the lock that every runtime function holds.
class EmulatedStreams {
 public:
  std::shared_ptr<StreamQueue> create(bool waits_for_legacy, int priority);
  void forget(const StreamQueue* queue);
  const std::shared_ptr<StreamQueue>& legacy() const { return legacy_; }
  std::shared_ptr<StreamQueue> queue_of(cudaStream_t stream) const;  // null: not a stream

  // Into the stream's order, or into its capture's graph.
  cudaError_t add(cudaStream_t stream, DeviceWork work, WorkName name);
  // Makes progress elsewhere if the order says so, then runs what `moment` needs.
  void finish(const Moment& moment);
  void finish_everything();

  // What a forbidden call answers while a capture goes on that forbids it; that capture is lost.
  cudaError_t refuse_while_capturing();
  std::vector<std::shared_ptr<Capture>> captures;  // that go on
  std::shared_ptr<const GraphNodes> last_graph;    // that was instantiated; null: none

  std::recursive_mutex mutex;

 private:
  std::vector<std::shared_ptr<StreamQueue>> queues_;
  std::shared_ptr<StreamQueue> legacy_ = std::make_shared<StreamQueue>(false);
};

EmulatedStreams& emulated_streams();

// Runs the nodes, each after those that it names; in an order that the edges alone decide.
void run_graph(const GraphNodes& nodes);

// Keeps `error` for cudaGetLastError, and hands it on.
cudaError_t keep_error(cudaError_t error);

}  // namespace regatta

struct CUstream_st {
  std::shared_ptr<regatta::StreamQueue> queue;
};

struct CUevent_st {
  bool timed = true;
  bool recorded = false;
  regatta::Moment moment;
  std::shared_ptr<double> milliseconds = std::make_shared<double>(0);
  std::shared_ptr<regatta::Capture> capture;  // of the last record, if that was captured
  std::vector<int> captured_ends;
};

struct CUgraph_st {
  regatta::GraphNodes nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const regatta::GraphNodes> nodes;
};

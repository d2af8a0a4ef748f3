// The ranks of one crew on their cards: sums over NCCL, on the caller's stream, alone or within a captured
// graph. A dead or stuck rank becomes an error that names rank, operation, sequence number and bytes, never a
// hang.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "collectives/device_operations.h"
#include "collectives/watchdog.h"

namespace regatta {

struct NcclOptions {
  int card = 0;  // as CUDA counts in this process
  // Ranks of the crew may have the same card, each as if on a host of its own: the sums are right, but slow.
  // For tests, and for trying things out.
  bool shares_cards = false;
  DeviceLimits limits;
  EndProcess end_process = end_stuck_process;  // when NCCL cannot give up what runs
};

// All ranks call the same operations in the same order. One thread at a time; a thread of its own watches
// over what runs. When an operation is late, or NCCL tells of a dead peer, what runs is given up: streams go
// on, with anything in the buffers. So after waiting for a stream, ask status() before using a sum. After an
// error every further call fails with it: the crew ends and is started again.
//
// Ends before the stream and the buffers that it was given, and after all graphs that hold its operations:
// NCCL waits for them to be destroyed.
class NcclCommunicator {
 public:
  // Called by all ranks of the crew; waits for them up to limits.join. Two ranks on one card are a mistake,
  // unless they share cards. Makes `card` the calling thread's device. What is passed in must outlive the
  // communicator.
  static Result<std::unique_ptr<NcclCommunicator>> create(Communicator& crew, const Clock& clock,
                                                          const NcclOptions& options);
  ~NcclCommunicator();
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  int rank() const;  // of the crew
  int size() const;

  // Sums element by element over the ranks, in place, in device memory; the same bits on every rank. Returns
  // once it is in the stream. While the stream is being captured it becomes a part of the graph, alike on all
  // ranks: capture with cudaStreamCaptureModeThreadLocal, and only after one sum outside of any capture, for
  // NCCL connects then.
  Status allreduce(float* data, std::size_t count, cudaStream_t stream);
  Status allreduce(double* data, std::size_t count, cudaStream_t stream);
  Status allreduce(__nv_bfloat16* data, std::size_t count, cudaStream_t stream);

  // What the newest capture holds; keep it with the graph.
  struct Captured {
    int operations = 0;
    std::size_t bytes = 0;
  };
  Captured captured() const;
  // Around each launch of a graph that holds sums: what lies between them on the stream is one operation, a
  // step, to be watched. Waits only when very many steps have not ended yet.
  Status begin_step(cudaStream_t stream, const Captured& graph);
  Status end_step(cudaStream_t stream);

  // The first error, if there was one.
  Status status() const;

 private:
  class Implementation;
  explicit NcclCommunicator(std::unique_ptr<Implementation> implementation);
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace regatta

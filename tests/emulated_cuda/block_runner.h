// Runs the blocks of a kernel one after another, the threads of a block as fibers that change hands only
// where they wait for each other: so a block's threads see each other's writes at barriers and warp
// operations, and a missing barrier shows as a wrong result.
#pragma once

#include <cuda_runtime.h>

#include <boost/context/fiber.hpp>
#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

#include "emulated_cuda/device_waits.h"
#include "emulated_cuda/kernel.h"

namespace regatta {

enum class WarpKind { kSync, kShuffle, kBallot };

// What a lane brings to a warp operation. `source` is the lane whose value it takes.
struct WarpRequest {
  WarpKind kind = WarpKind::kSync;
  unsigned mask = 0;
  int source = 0;
  std::uint64_t value = 0;
  std::source_location where;
};

class BlockRunner {
 public:
  void run(const EmulatedKernel& kernel);

  // Called by the thread that runs now.
  int wait_at_barrier(BarrierVote kind, bool predicate, const std::source_location& where);
  std::uint64_t wait_in_warp(const WarpRequest& request);
  unsigned lanes_alive() const;  // of this thread's warp
  int lane() const { return current_ % kWarp; }
  void* dynamic_shared() { return dynamic_shared_.data(); }
  const EmulatedKernel* kernel() const { return kernel_; }

 private:
  static constexpr int kWarp = 32;
  enum class State { kNotStarted, kRunning, kAtBarrier, kAtWarp, kDone };
  // A stack that runs threads one after another, and is taken by the first of them that has to wait.
  struct Worker {
    boost::context::fiber self;
    boost::context::fiber scheduler;
    bool idle = true;
  };
  struct Thread {
    State state = State::kNotStarted;
    uint3 index = {};  // threadIdx
    Worker* worker = nullptr;
    BarrierVote vote = BarrierVote::kCount;
    WarpRequest request;
    std::source_location where;
    std::uint64_t result = 0;
  };

  void run_block(std::uint64_t block);
  void prepare_dynamic_shared();
  void check_dynamic_shared() const;
  Worker& idle_worker();
  void resume(Worker& worker);
  void work(Worker& worker);
  void enter(int thread);
  void suspend();
  void finish();
  int take_ready();
  void release_barrier();
  void release_warp(int warp, unsigned mask);
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_stuck() const;
  std::string place(const std::source_location& where) const;

  const EmulatedKernel* kernel_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<int> start_order_;
  std::vector<int> ready_;
  std::vector<unsigned> warp_waiting_;  // a bit for each lane, by warp
  std::vector<unsigned> warp_alive_;
  int started_ = 0;
  int alive_ = 0;
  int at_barrier_ = 0;
  int predicates_ = 0;
  int current_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;
  std::vector<unsigned char> dynamic_shared_;
};

// The device has one: its blocks run one at a time.
BlockRunner& block_runner();

}  // namespace regatta

// See block_runner.h.
#include "emulated_cuda/block_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <cstring>

#include "emulated_cuda/device_builtins.h"
#include "emulated_cuda/order.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace regatta {
namespace {

constexpr std::size_t kStackBytes = std::size_t{256} << 10;
constexpr std::size_t kStackColours = 61;
constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kGuardBytes = 1024;
constexpr unsigned char kFreshByte = 0xFF;  // a NaN as float, as double and as bfloat16
constexpr unsigned char kGuardByte = 0xA5;
constexpr std::uint64_t kNoValue = 0xFFFFFFFFFFFFFFFF;  // from a lane that has none to give

bool same_place(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::strcmp(a.file_name(), b.file_name()) == 0);
}

}  // namespace

BlockRunner& block_runner() {
  static auto* const runner = new BlockRunner;  // never destroyed: its fibers wait for ever
  return *runner;
}

void* dynamic_shared_of_block() { return block_runner().dynamic_shared(); }

void BlockRunner::run(const EmulatedKernel& kernel) {
  kernel_ = &kernel;
  gridDim = kernel.grid;
  blockDim = kernel.block;
  const std::uint64_t blocks = std::uint64_t{gridDim.x} * gridDim.y * gridDim.z;
  const std::size_t threads = std::size_t{blockDim.x} * blockDim.y * blockDim.z;
  threads_.resize(threads);
  start_order_.resize(threads);
  warp_waiting_.resize((threads + kWarp - 1) / kWarp);
  warp_alive_.resize(warp_waiting_.size());
  const DecidedOrder block_order(blocks);
  const DecidedOrder thread_order(threads);
  const std::size_t plane = std::size_t{blockDim.x} * blockDim.y;
  for (std::size_t i = 0; i < threads; ++i) {
    start_order_[i] = static_cast<int>(thread_order[i]);
    threads_[i].index = {static_cast<unsigned>(i % blockDim.x), static_cast<unsigned>(i % plane / blockDim.x),
                         static_cast<unsigned>(i / plane)};
  }
  for (std::uint64_t i = 0; i < blocks; ++i) {
    run_block(block_order[i]);
  }
  kernel_ = nullptr;
}

void BlockRunner::run_block(std::uint64_t block) {
  const std::uint64_t plane = std::uint64_t{gridDim.x} * gridDim.y;
  blockIdx = {static_cast<unsigned>(block % gridDim.x), static_cast<unsigned>(block % plane / gridDim.x),
              static_cast<unsigned>(block / plane)};
  const int threads = static_cast<int>(threads_.size());
  for (Thread& thread : threads_) {
    thread.state = State::kNotStarted;
  }
  for (int warp = 0; warp * kWarp < threads; ++warp) {
    const int lanes = std::min(threads - warp * kWarp, kWarp);
    warp_alive_[warp] = lanes == kWarp ? ~0U : (1U << lanes) - 1;
    warp_waiting_[warp] = 0;
  }
  started_ = 0;
  alive_ = threads;
  at_barrier_ = 0;
  predicates_ = 0;
  prepare_dynamic_shared();
  while (alive_ > 0) {
    if (!ready_.empty()) {
      const int thread = take_ready();
      enter(thread);
      resume(*threads_[thread].worker);
    } else if (started_ < threads) {
      resume(idle_worker());
    } else {
      fail_stuck();
    }
  }
  check_dynamic_shared();
}

void BlockRunner::prepare_dynamic_shared() {
  const std::size_t bytes = kernel_->shared_bytes;
  dynamic_shared_.resize(std::max(dynamic_shared_.size(), bytes + kGuardBytes));
  std::fill_n(dynamic_shared_.begin(), bytes, kFreshByte);
  std::fill_n(dynamic_shared_.begin() + static_cast<std::ptrdiff_t>(bytes), kGuardBytes, kGuardByte);
}

void BlockRunner::check_dynamic_shared() const {
  const auto guard = dynamic_shared_.begin() + static_cast<std::ptrdiff_t>(kernel_->shared_bytes);
  if (std::any_of(guard, guard + kGuardBytes, [](unsigned char byte) { return byte != kGuardByte; })) {
    fail(fmt::format("wrote beyond its {} bytes of dynamic shared memory", kernel_->shared_bytes));
  }
}

BlockRunner::Worker& BlockRunner::idle_worker() {
  if (idle_.empty()) {
    workers_.push_back(std::make_unique<Worker>());
    Worker* const worker = workers_.back().get();
    const std::size_t colour = workers_.size() % kStackColours * kCacheLine;
    worker->self = boost::context::fiber(
        std::allocator_arg, boost::context::protected_fixedsize_stack(kStackBytes),
        [this, worker, colour](boost::context::fiber&& scheduler) {
          worker->scheduler = std::move(scheduler);
          // Stacks begin at pages, so the same frames of all of them would share a few sets of the cache.
          auto* const unused = static_cast<volatile char*>(__builtin_alloca(colour + 1));
          unused[0] = 0;
          work(*worker);
          return std::move(worker->scheduler);
        });
    idle_.push_back(worker);
  }
  Worker& worker = *idle_.back();
  idle_.pop_back();
  return worker;
}

void BlockRunner::resume(Worker& worker) {
  worker.idle = false;
  worker.self = std::move(worker.self).resume();
  if (worker.idle) {
    idle_.push_back(&worker);
  }
}

// The body of each fiber. Threads that never wait run here in a plain loop.
void BlockRunner::work(Worker& worker) {
  for (;;) {
    while (started_ < static_cast<int>(threads_.size())) {
      const int thread = start_order_[started_++];
      threads_[thread].worker = &worker;
      enter(thread);
      kernel_->run_thread();
      finish();
    }
    worker.idle = true;
    worker.scheduler = std::move(worker.scheduler).resume();
  }
}

void BlockRunner::enter(int thread) {
  current_ = thread;
  threads_[thread].state = State::kRunning;
  threadIdx = threads_[thread].index;
}

void BlockRunner::suspend() {
  Worker& worker = *threads_[current_].worker;
  worker.scheduler = std::move(worker.scheduler).resume();
}

void BlockRunner::finish() {
  threads_[current_].state = State::kDone;
  --alive_;
  const int warp = current_ / kWarp;
  warp_alive_[warp] &= ~(1U << lane());
  release_barrier();
  for (int i = 0; i < kWarp && warp_waiting_[warp] != 0;
       ++i) {  // the others of the warp no longer wait for it
    if ((warp_waiting_[warp] >> i & 1U) != 0) {
      release_warp(warp, threads_[warp * kWarp + i].request.mask);
    }
  }
}

int BlockRunner::take_ready() {
  const std::size_t at = order_chooser().pick(ready_.size());
  const int thread = ready_[at];
  ready_[at] = ready_.back();
  ready_.pop_back();
  return thread;
}

int BlockRunner::wait_at_barrier(BarrierVote kind, bool predicate, const std::source_location& where) {
  Thread& thread = threads_[current_];
  thread.state = State::kAtBarrier;
  thread.vote = kind;
  thread.where = where;
  ++at_barrier_;
  predicates_ += predicate ? 1 : 0;
  release_barrier();
  if (thread.state == State::kAtBarrier) {
    suspend();
  }
  return static_cast<int>(thread.result);
}

// Once every thread that has not returned stands at the barrier. The thread that came last runs on.
void BlockRunner::release_barrier() {
  if (at_barrier_ == 0 || at_barrier_ < alive_) {
    return;
  }
  const Thread* first = nullptr;
  for (int i = 0; i < static_cast<int>(threads_.size()); ++i) {
    Thread& thread = threads_[i];
    if (thread.state != State::kAtBarrier) {
      continue;
    }
    if (first == nullptr) {
      first = &thread;
    } else if (!same_place(first->where, thread.where)) {
      fail(fmt::format(
          "threads of one block wait at different barriers, {} and {}: every thread of a block must reach "
          "the same __syncthreads",
          place(first->where), place(thread.where)));
    }
    switch (thread.vote) {
      case BarrierVote::kCount:
        thread.result = static_cast<std::uint64_t>(predicates_);
        break;
      case BarrierVote::kAnd:
        thread.result = predicates_ == at_barrier_ ? 1 : 0;
        break;
      case BarrierVote::kOr:
        thread.result = predicates_ > 0 ? 1 : 0;
        break;
    }
    thread.state = State::kRunning;
    if (i != current_) {
      ready_.push_back(i);
    }
  }
  at_barrier_ = 0;
  predicates_ = 0;
}

unsigned BlockRunner::lanes_alive() const { return warp_alive_[current_ / kWarp]; }

std::uint64_t BlockRunner::wait_in_warp(const WarpRequest& request) {
  Thread& thread = threads_[current_];
  if ((request.mask >> lane() & 1U) == 0) {
    fail(fmt::format("lane {} is not in the mask {:#x} of its own warp operation at {}", lane(), request.mask,
                     place(request.where)));
  }
  thread.state = State::kAtWarp;
  thread.request = request;
  warp_waiting_[current_ / kWarp] |= 1U << lane();
  release_warp(current_ / kWarp, request.mask);
  if (thread.state == State::kAtWarp) {
    suspend();
  }
  return thread.result;
}

// Once every lane of `mask` that has not returned waits with this mask; what they get is decided here, before
// any of them can bring its next value.
void BlockRunner::release_warp(int warp, unsigned mask) {
  const unsigned needed = mask & warp_alive_[warp];
  if (needed == 0 || (warp_waiting_[warp] & needed) != needed) {
    return;
  }
  Thread* const lanes = &threads_[warp * kWarp];
  const Thread* first = nullptr;
  std::uint64_t ballot = 0;
  for (int i = 0; i < kWarp; ++i) {
    if ((needed >> i & 1U) == 0) {
      continue;
    }
    const WarpRequest& request = lanes[i].request;
    if (request.mask != mask) {
      return;  // still in an operation of fewer lanes, or of more
    }
    if (first == nullptr) {
      first = &lanes[i];
    } else if (request.kind != first->request.kind || !same_place(request.where, first->request.where)) {
      fail(fmt::format("lanes of one mask are in different warp operations, {} and {}",
                       place(first->request.where), place(request.where)));
    }
    ballot |= std::uint64_t{request.value != 0} << i;
  }
  warp_waiting_[warp] &= ~needed;
  for (int i = 0; i < kWarp; ++i) {
    if ((needed >> i & 1U) == 0) {
      continue;
    }
    Thread& thread = lanes[i];
    if (thread.request.kind == WarpKind::kShuffle) {
      const int source = thread.request.source;
      thread.result = (needed >> source & 1U) != 0 ? lanes[source].request.value : kNoValue;
    } else {
      thread.result = ballot;
    }
    thread.state = State::kRunning;
    if (warp * kWarp + i != current_) {
      ready_.push_back(warp * kWarp + i);
    }
  }
}

std::string BlockRunner::place(const std::source_location& where) const {
  const char* const slash = std::strrchr(where.file_name(), '/');
  return fmt::format("{}:{}", slash == nullptr ? where.file_name() : slash + 1, where.line());
}

void BlockRunner::fail(const std::string& what) const {
  emulation_failed(fmt::format("kernel {}, block ({}, {}, {}): {}", kernel_name(kernel_->function),
                               blockIdx.x, blockIdx.y, blockIdx.z, what));
}

void BlockRunner::fail_stuck() const {
  std::string waiting;
  const std::source_location* told = nullptr;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    const Thread& thread = threads_[i];
    if (thread.state != State::kAtBarrier && thread.state != State::kAtWarp) {
      continue;
    }
    const bool at_barrier = thread.state == State::kAtBarrier;
    const std::source_location& where = at_barrier ? thread.where : thread.request.where;
    if (told == nullptr || !same_place(*told, where)) {
      waiting += fmt::format("; thread {} and others {} at {}", i,
                             at_barrier ? "at a barrier" : "in a warp operation", place(where));
      told = &where;
    }
  }
  fail("its threads wait for each other for ever" + waiting.substr(0, 800));
}

}  // namespace regatta

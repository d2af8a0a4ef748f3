// A thread that does a rank's communication in the order in which it is asked for, while the rank computes.
// All ranks ask in the same order.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

class CommunicationThread {
 public:
  struct Task {
    int kind = 0;           // means something to the one who carries it out
    std::size_t count = 0;  // likewise
    float* data = nullptr;
  };
  // `carry_out` is called on the thread. After its first error no task is carried out any more.
  explicit CommunicationThread(std::function<Status(const Task&)> carry_out);
  ~CommunicationThread();
  CommunicationThread(const CommunicationThread&) = delete;
  CommunicationThread& operator=(const CommunicationThread&) = delete;

  // From one thread. Waits where the queue is full. The error of an earlier task.
  Status ask(const Task& task);
  // Until all that was asked for is done.
  Status wait();

 private:
  void run(const std::stop_token& stop);
  Status wait_until_done(std::uint64_t count);

  static constexpr std::size_t kQueue = 64;

  std::function<Status(const Task&)> carry_out_;
  std::array<Task, kQueue> queue_;
  alignas(128) std::atomic<std::uint64_t> asked_{0};
  alignas(128) std::atomic<std::uint64_t> done_{0};
  std::atomic<bool> failed_{false};
  Status first_error_;  // of the first task that failed; written before failed_
  SystemClock clock_;
  std::jthread thread_;
};

}  // namespace regatta

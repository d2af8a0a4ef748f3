// One writer, one reader, two counters.
#include "collectives/communication_thread.h"

#include "collectives/backoff.h"
#include "collectives/communicator.h"

namespace regatta {
namespace {

// A task has a limit of its own; this one only catches a thread that is stuck elsewhere.
constexpr Microseconds kLimit = 2 * kFileLimit;

// Tasks come some microseconds apart within a step, and not at all between epochs.
constexpr BackoffOptions kBackoff{.looks = 2000, .yields = 20'000, .sleep = Microseconds(100)};

}  // namespace

CommunicationThread::CommunicationThread(std::function<Status(const Task&)> carry_out)
    : carry_out_(std::move(carry_out)), thread_([this](const std::stop_token& stop) { run(stop); }) {}

CommunicationThread::~CommunicationThread() = default;

Status CommunicationThread::ask(const Task& task) {
  const std::uint64_t number = asked_.load(std::memory_order_relaxed);
  if (number >= kQueue) {
    RETURN_IF_ERROR(wait_until_done(number - kQueue + 1));
  }
  queue_[number % kQueue] = task;
  asked_.store(number + 1, std::memory_order_release);
  return {};
}

Status CommunicationThread::wait() { return wait_until_done(asked_.load(std::memory_order_relaxed)); }

Status CommunicationThread::wait_until_done(std::uint64_t count) {
  const Deadline deadline(clock_, kLimit);
  for (Backoff backoff(kBackoff); done_.load(std::memory_order_acquire) < count; backoff.pause()) {
    if (deadline.passed()) {
      return timed_out("the communication thread is stuck");
    }
  }
  return failed_.load(std::memory_order_acquire) ? first_error_ : Status();
}

void CommunicationThread::run(const std::stop_token& stop) {
  Backoff backoff(kBackoff);
  while (!stop.stop_requested()) {
    const std::uint64_t number = done_.load(std::memory_order_relaxed);
    if (asked_.load(std::memory_order_acquire) == number) {
      backoff.pause();
      continue;
    }
    if (!failed_.load(std::memory_order_relaxed)) {
      if (Status status = carry_out_(queue_[number % kQueue]); !status.ok()) {
        first_error_ = std::move(status);
        failed_.store(true, std::memory_order_release);
      }
    }
    done_.store(number + 1, std::memory_order_release);
    backoff.reset();
  }
}

}  // namespace regatta

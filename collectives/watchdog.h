// A thread that looks after what runs on a device, and gives it up when it is late. Knows neither CUDA nor
// NCCL.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace regatta {

// How a worker process ends when a device cannot be got back: nothing in the process can help then. The
// launcher starts the crew again. (EX_TEMPFAIL of sysexits.h: another try may succeed.)
inline constexpr int kExitDeviceStuck = 75;

// Logs the sentence and ends the process at once with kExitDeviceStuck.
[[noreturn]] void end_stuck_process(const std::string& sentence);

using EndProcess = std::function<void(const std::string& sentence)>;

// Runs `action` on a thread of its own for up to `limit`; one that does not return by then ends the process
// with `sentence`, for a thread that hangs in a driver cannot be ended. With an `end_process` that returns,
// waits on.
void run_or_end(Microseconds limit, const std::function<void()>& action, const std::string& sentence,
                const EndProcess& end_process);

// All of it is called on the watchdog's threads.
class Watched {
 public:
  virtual ~Watched() = default;
  // An error, once: it has to be given up. The calls that come later must fail with it.
  virtual std::optional<Error> look() = 0;
  // Gives up what runs on the device. May hang.
  virtual void give_up() = 0;
};

struct WatchdogOptions {
  Microseconds interval = std::chrono::milliseconds(100);  // between two looks
  Microseconds give_up_limit = std::chrono::seconds(10);
  EndProcess end_process = end_stuck_process;
};

class Watchdog {
 public:
  enum class State { watching, giving_up, given_up };

  // `watched` must outlive it.
  Watchdog(Watched& watched, WatchdogOptions options);
  // Looks no more. Waits while it gives up.
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  State state() const { return state_; }

 private:
  void watch(const std::stop_token& stop);

  Watched& watched_;
  const WatchdogOptions options_;
  std::atomic<State> state_ = State::watching;
  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace regatta

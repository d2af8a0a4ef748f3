// Looks, sleeps, looks again; gives up once.
#include "collectives/watchdog.h"

#include <fmt/format.h>
#include <unistd.h>

#include <future>

#include "base/log.h"
#include "base/seconds.h"

namespace regatta {

void end_stuck_process(const std::string& sentence) {
  spdlog::critical("{}; this process ends with exit code {}", sentence, kExitDeviceStuck);
  spdlog::default_logger()->flush();
  ::_exit(kExitDeviceStuck);
}

void run_or_end(Microseconds limit, const std::function<void()>& action, const std::string& sentence,
                const EndProcess& end_process) {
  std::promise<void> done;
  const std::future<void> ended = done.get_future();
  const std::jthread thread([&] {
    action();
    done.set_value();
  });
  if (ended.wait_for(limit) == std::future_status::timeout) {
    end_process(sentence);
  }
}

Watchdog::Watchdog(Watched& watched, WatchdogOptions options)
    : watched_(watched),
      options_(std::move(options)),
      thread_([this](const std::stop_token& stop) { watch(stop); }) {}

Watchdog::~Watchdog() {
  thread_.request_stop();
  thread_.join();
}

void Watchdog::watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    if (const auto late = watched_.look()) {
      spdlog::error("{}", late->message);
      state_ = State::giving_up;
      run_or_end(
          options_.give_up_limit, [this] { watched_.give_up(); },
          fmt::format("{}; and the operation could not be given up within {} s", late->message,
                      in_seconds(options_.give_up_limit)),
          options_.end_process);
      state_ = State::given_up;
      return;
    }
    std::unique_lock lock(mutex_);
    stopped_.wait_for(lock, stop, options_.interval, [] { return false; });
  }
}

}  // namespace regatta

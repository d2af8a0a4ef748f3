// Inside collectives/ only: how to wait for something that comes soon, or not for long. It looks again at
// once, then lets others have the core, then sleeps between the looks.
#pragma once

#include <thread>

#include "base/clock.h"

namespace regatta {

struct BackoffOptions {
  int looks = 0;
  int yields = 0;
  Microseconds sleep{0};
};

class Backoff {
 public:
  explicit Backoff(const BackoffOptions& options) : options_(options) {}
  void pause() {
    if (pauses_ >= options_.looks + options_.yields) {
      std::this_thread::sleep_for(options_.sleep);
    } else if (pauses_++ >= options_.looks) {
      std::this_thread::yield();
    }
  }
  void reset() { pauses_ = 0; }

 private:
  BackoffOptions options_;
  int pauses_ = 0;
};

}  // namespace regatta

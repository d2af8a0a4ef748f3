// Work that takes long says that it gets on, to whoever has to know while its thread is busy: a study's lock
// is renewed by it, and so grows old where the work hangs.
#pragma once

#include <functional>

namespace regatta {

// While it lives, note_progress() on this thread calls `listener`; another one made meanwhile takes its place
// until it goes.
class ProgressListener {
 public:
  explicit ProgressListener(std::function<void()> listener);
  ~ProgressListener();
  ProgressListener(const ProgressListener&) = delete;
  ProgressListener& operator=(const ProgressListener&) = delete;

 private:
  friend void note_progress();
  std::function<void()> listener_;
  const ProgressListener* before_;
};

// Costs next to nothing without a listener: to be called from loops whose number of turns the user's data, or
// other programs, decide.
void note_progress();

}  // namespace regatta

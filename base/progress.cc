// The newest listener of each thread.
#include "base/progress.h"

#include <utility>

namespace regatta {
namespace {

thread_local const ProgressListener* newest = nullptr;

}  // namespace

ProgressListener::ProgressListener(std::function<void()> listener)
    : listener_(std::move(listener)), before_(std::exchange(newest, this)) {}

ProgressListener::~ProgressListener() { newest = before_; }

void note_progress() {
  if (newest != nullptr) {
    newest->listener_();
  }
}

}  // namespace regatta

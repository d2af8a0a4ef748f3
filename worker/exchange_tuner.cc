// A step's time is that from one end to the next, so that it holds what the exchange costs all others too.
#include "worker/exchange_tuner.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace regatta {
namespace {

constexpr std::size_t kKiB = 1024;
constexpr std::size_t kWhole = std::numeric_limits<std::size_t>::max() / 2;
// A bucket more costs a meeting of the ranks. Without overlap it can only pay by finding gradients in the
// cache that backward has just left there.
constexpr std::size_t kSizes[] = {kWhole, 2048 * kKiB};
constexpr std::size_t kOverlappedSizes[] = {8192 * kKiB, 2048 * kKiB, 512 * kKiB};
constexpr int kStepsEach = 6;  // the best one counts: others are disturbed by what else the machine does

}  // namespace

std::vector<ExchangePlan> exchange_candidates(std::size_t bytes, bool overlaps) {
  std::vector<ExchangePlan> plans;
  for (const std::size_t size : kSizes) {
    if (size == kWhole || size < bytes) {
      plans.push_back({.bucket_bytes = size});
    }
  }
  for (const std::size_t size : kOverlappedSizes) {
    if (overlaps && size < bytes) {
      plans.push_back({.bucket_bytes = size, .overlap = true});
    }
  }
  return plans;
}

ExchangeTuner::ExchangeTuner(std::vector<ExchangePlan> candidates)
    : candidates_(std::move(candidates)),
      times_(candidates_.size(), std::numeric_limits<double>::max()),
      chosen_(candidates_.size() == 1) {
  CHECK(!candidates_.empty());
}

bool ExchangeTuner::step_ended(Microseconds now) {
  if (chosen_) {
    return false;
  }
  if (last_ && steps_ > 0) {
    const std::chrono::duration<double> time = now - *last_;
    times_[current_] = std::min(times_[current_], time.count());
  }
  last_ = now;
  if (++steps_ <= kStepsEach) {
    return false;
  }
  steps_ = 0;
  if (current_ + 1 < candidates_.size()) {
    ++current_;
    return false;
  }
  return true;
}

void ExchangeTuner::choose() {
  current_ = static_cast<std::size_t>(std::ranges::min_element(times_) - times_.begin());
  chosen_ = true;
}

}  // namespace regatta

// Which way of summing gradients is fastest here: some candidates take a few steps each at the beginning, and
// the ranks choose one together. All give the same bits.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"

namespace regatta {

struct ExchangePlan {
  std::size_t bucket_bytes = 0;
  bool overlap = false;  // a thread of its own sums buckets while backward goes on
};

// For so many bytes of gradients; `overlaps`: whether there is a core for it.
std::vector<ExchangePlan> exchange_candidates(std::size_t bytes, bool overlaps);

class ExchangeTuner {
 public:
  explicit ExchangeTuner(std::vector<ExchangePlan> candidates);

  // The plan for the next step.
  const ExchangePlan& plan() const { return candidates_[current_]; }
  // At the end of each step of a plan. The first one after a change is not counted. True: the times() of all
  // candidates are there, and choose() is due.
  bool step_ended(Microseconds now);
  // Of each candidate's best step, in seconds. To be summed over the ranks.
  std::span<double> times() { return times_; }
  void choose();

 private:
  std::vector<ExchangePlan> candidates_;
  std::vector<double> times_;
  std::size_t current_ = 0;
  int steps_ = 0;  // of this plan
  bool chosen_ = false;
  std::optional<Microseconds> last_;
};

}  // namespace regatta

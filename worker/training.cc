// Groups of lanes in step: who trains next, for how long, and what becomes of each lane afterwards.
#include "worker/training.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "base/trace.h"
#include "worker/evaluation.h"

namespace regatta {
namespace {

// A lane lets others catch up for so many epochs at most.
constexpr int kMostEpochsWaited = 8;
// The epoch of an attempt that waits for its engine: no grant lets it go on.
constexpr std::int64_t kNotBegun = std::numeric_limits<std::int64_t>::max();

const BatchView* next_batch(BatchSource& batches) {
  const TraceSpan span("input");
  return batches.next();
}

}  // namespace

Training::Training(Workbench& bench)
    : bench_(bench),
      steering_(bench.communicator(), bench.clock(), bench.options().lanes),
      attempts_(static_cast<std::size_t>(bench.options().lanes)),
      epochs_waited_(attempts_.size()),
      metrics_(attempts_.size()) {}

bool Training::is_busy() const {
  return std::ranges::any_of(attempts_, [](const auto& attempt) { return attempt != nullptr; });
}

bool Training::has_room() const {
  return std::ranges::any_of(attempts_, [](const auto& attempt) { return attempt == nullptr; });
}

void Training::begin(AttemptOrder order, AttemptControl* control) {
  const auto free = std::ranges::find_if(attempts_, [](const auto& attempt) { return attempt == nullptr; });
  CHECK(free != attempts_.end(), "an attempt begins where there is room");
  const int lane = static_cast<int>(free - attempts_.begin());
  const int until_epoch = order.until_epoch;
  *free = std::make_unique<LaneAttempt>(bench_, lane, std::move(order), control);
  epochs_waited_[static_cast<std::size_t>(lane)] = 0;
  steering_.seat(lane, control, until_epoch);
  steering_.stand(lane, kNotBegun, true);
}

Result<std::vector<EndedAttempt>> Training::advance() {
  RETURN_IF_ERROR(leave_as_decided());
  RETURN_IF_ERROR(begin_waiting());
  if (ended_.empty()) {
    std::vector<int> group = next_group();
    if (group.empty()) {
      RETURN_IF_ERROR(steering_.wait());
    } else {
      RETURN_IF_ERROR(train_group(std::move(group)));
    }
  }
  return std::exchange(ended_, {});
}

// In the order in which they came: one that needs another engine is not overtaken.
Status Training::begin_waiting() {
  while (true) {
    LaneAttempt* next = nullptr;
    bool engine_is_free = true;
    for (const auto& attempt : attempts_) {
      if (attempt != nullptr && attempt->has_begun()) {
        engine_is_free = false;
      } else if (attempt != nullptr &&
                 (next == nullptr || attempt->order().attempt < next->order().attempt)) {
        next = attempt.get();
      }
    }
    if (next == nullptr || !(engine_is_free || bench_.fits(next->order().point))) {
      return {};
    }
    const int lane = next->lane();
    ASSIGN_OR_RETURN(const auto refusal, bench_.prepare(next->order().point));
    if (refusal) {
      end(lane, {.how = refusal->how, .message = refusal->message});
      continue;
    }
    if (engine_is_free) {  // it may serve another number of classes
      sums_.assign(attempts_.size(), bench_.new_sums());
      measured_ = sums_;
    }
    ASSIGN_OR_RETURN(auto ended, next->begin(sums(lane)));
    if (ended) {
      end(lane, *std::move(ended));
    } else {
      steering_.stand(lane, next->epoch(), true);
    }
  }
}

Status Training::leave_as_decided() {
  for (std::size_t lane = 0; lane < attempts_.size(); ++lane) {
    LaneAttempt* const attempt = attempts_[lane].get();
    const Decision decision = steering_.view(static_cast<int>(lane)).decision;
    if (attempt != nullptr && decision.action != Decision::Action::go_on) {
      ASSIGN_OR_RETURN(AttemptEnd left, attempt->leave(decision));
      end(static_cast<int>(lane), std::move(left));
    }
  }
  return {};
}

bool Training::goes_first(const LaneAttempt& a, const LaneAttempt& b) const {
  const auto rank = [this](const LaneAttempt& attempt) {
    const int waited = epochs_waited_[static_cast<std::size_t>(attempt.lane())];
    return std::tuple(waited < kMostEpochsWaited, attempt.epoch(), attempt.step());
  };
  return rank(a) < rank(b);
}

// Empty: all have trained as far as they were granted.
std::vector<int> Training::next_group() const {
  std::vector<const LaneAttempt*> able;
  for (const auto& attempt : attempts_) {
    if (attempt != nullptr && attempt->has_begun() &&
        steering_.view(attempt->lane()).decision.until_epoch > attempt->epoch()) {
      able.push_back(attempt.get());
    }
  }
  std::vector<int> group;
  if (able.empty()) {
    return group;
  }
  const LaneAttempt& first = **std::ranges::min_element(
      able, [this](const LaneAttempt* a, const LaneAttempt* b) { return goes_first(*a, *b); });
  for (const LaneAttempt* other : able) {
    if (other->epoch() == first.epoch() && other->step() == first.step()) {
      group.push_back(other->lane());
    }
  }
  return group;
}

// To the end of its epoch, or until an attempt has ended: then the group is chosen anew.
Status Training::train_group(std::vector<int> group) {
  const Microseconds begin = bench_.clock().monotonic();
  ASSIGN_OR_RETURN(const bool is_whole, take_steps(group));
  if (!is_whole) {
    const Microseconds spent = bench_.clock().monotonic() - begin;
    for (const int lane : group) {
      if (attempts_[static_cast<std::size_t>(lane)] != nullptr) {
        attempt(lane).add_time(spent);
      }
    }
    return {};
  }
  for (std::size_t lane = 0; lane < attempts_.size(); ++lane) {
    const bool is_of_group = std::ranges::find(group, static_cast<int>(lane)) != group.end();
    epochs_waited_[lane] = is_of_group ? 0 : epochs_waited_[lane] + 1;
  }
  RETURN_IF_ERROR(finish_epoch(group));
  std::erase_if(group, [this](int lane) { return attempts_[static_cast<std::size_t>(lane)] == nullptr; });
  const Microseconds spent = bench_.clock().monotonic() - begin;
  for (const int lane : group) {
    attempt(lane).add_time(spent);
  }
  return report(group);
}

// As the views have it: a lane of the group is not healthy, or any attempt was told to leave.
bool Training::somebody_leaves(const std::vector<int>& group) const {
  const auto is_ill = [this](int lane) { return !steering_.view(lane).healthy; };
  const auto is_to_leave = [this](const auto& attempt) {
    return attempt != nullptr &&
           steering_.view(attempt->lane()).decision.action != Decision::Action::go_on;
  };
  return std::ranges::any_of(group, is_ill) || std::ranges::any_of(attempts_, is_to_leave);
}

// Whether the epoch is done. The engine is at rest afterwards, either way: sums are whole, and lanes may be
// saved and started.
Result<bool> Training::take_steps(const std::vector<int>& group) {
  BatchSource& batches = bench_.training();
  const std::int64_t steps = batches.steps_per_epoch();
  const std::int64_t epoch = attempt(group.front()).epoch();
  std::int64_t step = attempt(group.front()).step();
  batches.start_epoch(epoch, step);
  bench_.engine().select_lanes(group);
  steering_.begin_steps();
  for (; step < steps; ++step) {
    for (const int lane : group) {
      steering_.stand(lane, epoch, attempt(lane).is_healthy());
    }
    ASSIGN_OR_RETURN(const bool news, steering_.at_step());
    if (news && somebody_leaves(group)) {
      RETURN_IF_ERROR(bench_.engine().finish());
      for (const int lane : group) {
        if (!steering_.view(lane).healthy) {
          end(lane, attempt(lane).diverged("training"));
        }
      }
      RETURN_IF_ERROR(leave_as_decided());  // lanes that stand still, too: their places are wanted
      return false;
    }
    const BatchView* const batch = next_batch(batches);
    CHECK(batch != nullptr);
    const TrainStep train{
        .epoch = static_cast<double>(epoch) + static_cast<double>(step) / static_cast<double>(steps),
        .exchange = bench_.exchange(),
        .sums = sums_};
    RETURN_IF_ERROR(bench_.engine().train(*batch, train));
    for (const int lane : group) {
      attempt(lane).take_step();
    }
  }
  RETURN_IF_ERROR(bench_.engine().finish());
  return true;
}

// Collects metrics_; lanes whose loss is not finite end.
Status Training::finish_epoch(std::vector<int> group) {
  const auto append = [this](int lane, const char* prefix, const MetricSums& of) {
    MetricValues& metrics = metrics_[static_cast<std::size_t>(lane)];
    append_metrics(metrics, prefix, of.result());
    return std::isfinite(metric_named(metrics, std::string(prefix) + "loss"));
  };
  const std::vector<int> trained = group;
  for (const int lane : trained) {
    metrics_[static_cast<std::size_t>(lane)].clear();
    RETURN_IF_ERROR(bench_.communicator().allreduce(sums(lane).sums()));
    if (!append(lane, "train_", sums(lane))) {
      end(lane, attempt(lane).diverged("training"));
      std::erase(group, lane);
    }
  }
  if (bench_.validation() == nullptr || group.empty()) {
    return {};
  }
  RETURN_IF_ERROR(measure(bench_, *bench_.validation(), group, measured_));
  for (const int lane : group) {
    if (!append(lane, "val_", measured_[static_cast<std::size_t>(lane)])) {
      end(lane, attempt(lane).diverged("validation"));
    }
  }
  return {};
}

Status Training::report(const std::vector<int>& group) {
  for (const int lane : group) {
    ASSIGN_OR_RETURN(auto ended,
                     attempt(lane).finish_epoch(std::move(metrics_[static_cast<std::size_t>(lane)])));
    if (ended) {
      end(lane, *std::move(ended));
    } else {
      steering_.stand(lane, attempt(lane).epoch(), true);
    }
  }
  return {};
}

void Training::end(int lane, AttemptEnd end) {
  const AttemptOrder& order = attempt(lane).order();
  ended_.push_back({.attempt = order.attempt, .trial = order.trial, .end = std::move(end)});
  steering_.clear(lane);
  attempts_[static_cast<std::size_t>(lane)].reset();
}

}  // namespace regatta

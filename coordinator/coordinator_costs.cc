// A single server with batches, as the loop in coordinator/server.cc is one.
#include "coordinator/coordinator_costs.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace regatta {
namespace {

constexpr int kBatch = 1000;  // messages in one transaction, as in the server

// search-benchmark suggest, in five dimensions, once n trials are known: fixed + linear · n microseconds, at
// most `most`.
struct SamplerCost {
  std::string_view sampler;
  double fixed_us = 0;
  double linear_us = 0;
  double most_us = 1e9;
};
constexpr std::array<SamplerCost, 7> kSamplers{{{"random", 1.5, 0},
                                                {"sobol", 1.5, 0},
                                                {"grid", 1.5, 0},
                                                {"tpe", 200, 0.047},
                                                {"gp", 500, 45, 21'000},
                                                {"cma-es", 5, 0.06},
                                                {"nsga2", 5, 0.015}}};
constexpr int kAutoModelTrials = 300;  // of `auto`: from a Gaussian process to a strategy of evolution

double microseconds(Microseconds time) { return static_cast<double>(time.count()); }

}  // namespace

CoordinatorCosts no_costs() {
  return {.message_us = 0,
          .heartbeat_us = 0,
          .event_us = 0,
          .commit_us = 0,
          .send_us = 0,
          .delete_us = 0,
          .relay_us = 0,
          .network_us = 0,
          .proposal_us = 0,
          .sampler = {}};
}

double proposal_us(std::string_view sampler, int trials) {
  if (sampler == "auto") {
    sampler = trials < kAutoModelTrials ? "gp" : "cma-es";
  }
  const auto found = std::ranges::find(kSamplers, sampler, &SamplerCost::sampler);
  const SamplerCost& cost = found == kSamplers.end() ? kSamplers.front() : *found;
  return std::min(cost.fixed_us + cost.linear_us * trials, cost.most_us);
}

double heartbeat_load(const CoordinatorCosts& costs, int crews, double epoch_seconds) {
  const double signs = std::floor(epoch_seconds / costs.heartbeat_s);  // within an epoch
  if (signs < 1) {
    return 0;
  }
  const double thread_us = std::max(costs.heartbeat_us, 2 * costs.relay_us);
  return crews * signs / epoch_seconds * thread_us * 1e-6;
}

BusyCoordinator::BusyCoordinator(const CoordinatorCosts& costs, double heartbeats)
    : costs_(costs), slowdown_(1 / (1 - heartbeats)) {
  CHECK(heartbeats >= 0 && heartbeats < 1, "some time is left beside the heartbeats");
}

void BusyCoordinator::work(double microseconds) {
  now_us_ += microseconds * slowdown_;
  busy_us_ += microseconds * slowdown_;
}

void BusyCoordinator::begin(Microseconds arrival) {
  arrival_us_ = microseconds(arrival);
  now_us_ = begun_us_ = std::max(now_us_, arrival_us_);
  batch_ = events_ = relayed_ = 0;
}

bool BusyCoordinator::takes_more() const { return batch_ < kBatch; }

void BusyCoordinator::decide(int events, double proposals_us) {
  ++batch_;
  ++relayed_;
  ++messages_;
  events_ += events;
  work(costs_.message_us + proposals_us);
}

void BusyCoordinator::commit() {
  if (events_ > 0) {
    ++transactions_;
    work(costs_.commit_us + events_ * costs_.event_us);
  }
}

void BusyCoordinator::send() {
  ++relayed_;
  work(costs_.send_us);
}

void BusyCoordinator::delete_checkpoint() { work(costs_.delete_us); }

// The other thread works beside this one: whichever takes longer decides.
void BusyCoordinator::finish() {
  const double relayed_us = relayed_ * costs_.relay_us * slowdown_;
  if (const double more = begun_us_ + relayed_us - now_us_; more > 0) {
    now_us_ += more;
    busy_us_ += more;
  }
  longest_wait_us_ = std::max(longest_wait_us_, now_us_ - arrival_us_);
}

Microseconds BusyCoordinator::now() const {
  return Microseconds(static_cast<std::int64_t>(std::ceil(now_us_ - 1e-3)));
}

}  // namespace regatta

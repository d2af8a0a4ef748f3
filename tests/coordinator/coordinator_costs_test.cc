// The coordinator's own time in simulations, held against arithmetic.
#include "coordinator/coordinator_costs.h"

#include <gmock/gmock.h>

#include "coordinator/simulator.h"
#include "study_kit.h"

namespace regatta {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

SimulationResult simulated(const std::string& search, const SimulationOptions& options) {
  const Experiment experiment = make_experiment("sampler: random, " + search);
  const auto study = make_study(experiment, {.evaluate_best = false});
  auto result = simulate(*study, options);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *result : SimulationResult{};
}

// A coordinator that only one thing costs time.
CoordinatorCosts only(double CoordinatorCosts::*cost, double value) {
  CoordinatorCosts costs = no_costs();
  costs.*cost = value;
  return costs;
}

constexpr const char* kOneEpoch = "scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 10000}";

TEST(CoordinatorCosts, AFreeCoordinatorChangesNothing) {
  const char* search = "scheduler: {type: asha, max_epochs: 27}, stop: {trials: 200}";
  SimulationOptions options{.crews = 16, .seed = 1, .mean_seconds_to_failure = 500};
  const SimulationResult without = simulated(search, options);
  options.costs = no_costs();
  const SimulationResult free = simulated(search, options);
  EXPECT_EQ(free.fingerprint, without.fingerprint);
  EXPECT_EQ(free.makespan_seconds, without.makespan_seconds);
  EXPECT_EQ(free.coordinator_busy_fraction, 0);
}

TEST(CoordinatorCosts, TheSameCostsGiveTheSameEvents) {
  const SimulationOptions options{.crews = 300, .epoch_seconds = 0.5, .costs = CoordinatorCosts{}};
  EXPECT_EQ(simulated(kOneEpoch, options).fingerprint, simulated(kOneEpoch, options).fingerprint);
}

// A trial of one epoch is one report, four events (reported, ended, proposed, started), two answers, and one
// proposal.
TEST(CoordinatorCosts, ACoordinatorThatIsTooBusyTakesAsLongAsItsWork) {
  CoordinatorCosts costs = no_costs();
  costs.message_us = 100;
  costs.event_us = 10;
  costs.send_us = 20;
  costs.proposal_us = 50;
  const SimulationResult result = simulated(
      kOneEpoch, {.crews = 1000, .epoch_seconds = 0.001, .start_seconds = 0, .costs = std::move(costs)});
  const double work = 10'000 * (100 + 4 * 10 + 2 * 20 + 50) * 1e-6;
  EXPECT_NEAR(result.makespan_seconds, work, 0.12 * work);  // joining crews are work, too
  EXPECT_GT(result.makespan_seconds, work);
  EXPECT_GT(result.coordinator_busy_fraction, 0.99);
  EXPECT_LT(result.busy_fraction, 0.01);
}

TEST(CoordinatorCosts, AFewCrewsOfLongTrialsDoNotNoticeThem) {
  const SimulationResult result =
      simulated("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 160}", {.crews = 16,
                                                                                .epoch_seconds = 600,
                                                                                .epoch_spread = 0,
                                                                                .start_seconds = 0,
                                                                                .costs = CoordinatorCosts{}});
  EXPECT_GT(result.busy_fraction, 0.9995);
  EXPECT_LT(result.coordinator_busy_fraction, 0.001);
}

TEST(CoordinatorCosts, ALoneCrewWaitsForEachTransactionAndBothWays) {
  CoordinatorCosts costs = only(&CoordinatorCosts::commit_us, 20'000);
  costs.network_us = 500;
  const SimulationResult result = simulated(
      "scheduler: {type: fifo, max_epochs: 2}, stop: {trials: 50}",
      {.crews = 1, .epoch_seconds = 1, .epoch_spread = 0, .start_seconds = 0, .costs = std::move(costs)});
  // Each report goes there and back, but the crew goes on with an epoch that it was granted before.
  EXPECT_NEAR(result.makespan_seconds, 50 * (2 * 1 + 0.021), 0.1);
  EXPECT_EQ(result.transactions, 101);  // the first for its hello
}

TEST(CoordinatorCosts, WhatComesWhileItStoresSharesTheNextTransaction) {
  const SimulationResult result =
      simulated(kOneEpoch, {.crews = 1000,
                            .epoch_seconds = 0.001,
                            .start_seconds = 0,
                            .costs = only(&CoordinatorCosts::commit_us, 100'000)});
  EXPECT_LE(result.transactions, 25);  // ten rounds of a thousand crews
  EXPECT_LT(result.makespan_seconds, 2.5);
}

TEST(CoordinatorCosts, TheSlowerOfTwoThreadsDecides) {
  CoordinatorCosts costs = only(&CoordinatorCosts::relay_us, 100);
  costs.message_us = 50;
  const SimulationResult result = simulated(
      kOneEpoch, {.crews = 1000, .epoch_seconds = 0.001, .start_seconds = 0, .costs = std::move(costs)});
  EXPECT_NEAR(result.makespan_seconds, 10'000 * 3 * 100e-6, 0.5);
}

TEST(CoordinatorCosts, SignsOfLifeTakeTheirShareOfTheTime) {
  CoordinatorCosts costs = only(&CoordinatorCosts::heartbeat_us, 100);
  EXPECT_EQ(heartbeat_load(costs, 1000, 1.5), 0);  // reports come often enough
  EXPECT_NEAR(heartbeat_load(costs, 1000, 10), 0.05, 1e-12);
  costs.heartbeat_s = 5;
  EXPECT_NEAR(heartbeat_load(costs, 1000, 10), 0.02, 1e-12);
  costs.relay_us = 100;  // each comes and is answered
  EXPECT_NEAR(heartbeat_load(costs, 1000, 10), 0.04, 1e-12);
}

TEST(CoordinatorCosts, MoreSignsOfLifeThanItCanAnswerAreAMistakeWithARemedy) {
  const Experiment experiment = make_experiment("scheduler: {type: fifo, max_epochs: 1}, stop: {trials: 10}");
  const auto study = make_study(experiment);
  const auto result = simulate(
      *study, {.crews = 100'000, .epoch_seconds = 60, .costs = only(&CoordinatorCosts::heartbeat_us, 100)});
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message, HasSubstr("100,000 crews"));
  EXPECT_THAT(result.error().message, HasSubstr("--heartbeat-seconds"));
}

TEST(CoordinatorCosts, AModelCostsMoreThanADraw) {
  EXPECT_LT(proposal_us("random", 1000), proposal_us("tpe", 1000));
  EXPECT_LT(proposal_us("tpe", 1000), proposal_us("gp", 1000));
  EXPECT_LT(proposal_us("gp", 100), proposal_us("gp", 300));
  EXPECT_EQ(proposal_us("auto", 100), proposal_us("gp", 100));
  EXPECT_LT(proposal_us("auto", 1000), proposal_us("gp", 1000));
}

TEST(BusyCoordinator, ReadsABatchWhenTheLastOneIsDone) {
  CoordinatorCosts costs = no_costs();
  costs.message_us = 1000;
  costs.commit_us = 5000;
  BusyCoordinator coordinator(costs, 0);
  coordinator.begin(milliseconds(10));
  coordinator.decide(/*events=*/2, /*proposals_us=*/500);
  EXPECT_EQ(coordinator.now(), Microseconds(11'500));
  coordinator.commit();
  coordinator.finish();
  EXPECT_EQ(coordinator.now(), Microseconds(16'500));
  coordinator.begin(milliseconds(12));
  EXPECT_EQ(coordinator.now(), Microseconds(16'500));
  coordinator.decide(0, 0);
  coordinator.commit();  // nothing to store
  coordinator.finish();
  EXPECT_EQ(coordinator.now(), Microseconds(17'500));
  EXPECT_EQ(coordinator.transactions(), 1);
  EXPECT_NEAR(coordinator.longest_wait_seconds(), 0.0065, 1e-9);
  EXPECT_NEAR(coordinator.busy_seconds(), 0.0075, 1e-9);
}

TEST(BusyCoordinator, TakesAtMostAThousandMessagesAtOnce) {
  BusyCoordinator coordinator(no_costs(), 0);
  coordinator.begin({});
  for (int message = 0; message < 1000; ++message) {
    EXPECT_TRUE(coordinator.takes_more());
    coordinator.decide(1, 0);
  }
  EXPECT_FALSE(coordinator.takes_more());
}

}  // namespace
}  // namespace regatta

// The same study core in virtual time with simulated crews: the test bed, and a tool for capacity planning.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "coordinator/coordinator_costs.h"
#include "coordinator/study.h"

namespace regatta {

// Where simulated trials take their reports from.
class TrialCurves {
 public:
  virtual ~TrialCurves() = default;
  // The metrics after `epoch` epochs, from 1, in the user's direction; nullopt: the trial has ended by itself
  // before. Trials are first asked for in the order of their numbers.
  virtual std::optional<Metrics> metrics(int trial, const Point& point, int epoch) = 0;
  // nullopt: SimulationOptions decide.
  virtual std::optional<double> epoch_seconds(int trial, const Point& point) = 0;
};

struct SimulationOptions {
  int crews = 4;
  int lanes = 1;  // trials that a crew trains at once
  // What each further trial adds to the time of a crew's epochs, as a share of what it takes alone.
  double lane_cost = 0.75;
  std::uint64_t seed = 0;
  double epoch_seconds = 10;                    // median over trials
  double epoch_spread = 0.3;                    // sigma of the logarithm, per trial
  double start_seconds = 1;                     // to start an attempt: process, data, checkpoint
  double mean_seconds_to_failure = 0;           // of a crew; 0: crews never die
  double restart_seconds = 5;                   // until a dead crew is back
  bool elastic = false;                         // crews have slots, and may be reshaped
  double reshape_seconds = 4;                   // from the order until a reshaped crew has its data
  double elastic_efficiency = 0.85;             // of each slot in a crew of several
  std::optional<CoordinatorCosts> costs;        // nullopt: the coordinator takes no time
  TrialCurves* curves = nullptr;                // outlives the simulation; nullptr: made up
  Microseconds start = std::chrono::hours(24);  // wall time; not 0, which means "never" in records
};

struct SimulationResult {
  double makespan_seconds = 0;
  double busy_fraction = 0;  // of the time of all slots' lanes, spent training epochs that counted
  double lost_fraction = 0;  // of the same time, spent on work that was lost
  int trials = 0;
  int complete = 0;
  int stopped = 0;
  int failed = 0;
  std::int64_t epochs = 0;
  std::int64_t attempts = 0;
  double best_value = 0;  // in the user's direction
  int best_trial = -1;
  // Of a coordinator with costs.
  double coordinator_busy_fraction = 0;  // of the makespan
  double longest_answer_seconds = 0;     // that a message waited for its answer
  std::int64_t messages = 0;             // without heartbeats
  std::int64_t transactions = 0;
  double wall_seconds = 0;        // what the simulation itself took; not deterministic
  std::uint64_t fingerprint = 0;  // of all events: equal runs have equal fingerprints
};

// A trial's curve: a power law towards an asymptote that depends smoothly on the point, plus seeded noise.
double simulated_value(const Experiment& experiment, const Point& point, int epoch, std::uint64_t seed);

struct SimulationHooks {
  std::function<void(const TimedEvent&)> observe;  // sees every event; may be empty
  // After each input, once its events were seen; an error ends the simulation. What it returns is told to the
  // study next. May be empty.
  std::function<Result<std::optional<Input>>()> step;
};

// Runs `study` to its end; one that was replayed and resumed goes on: what ran in its last session is lost.
Result<SimulationResult> simulate(Study& study, const SimulationOptions& options,
                                  const SimulationHooks& hooks = {});

}  // namespace regatta

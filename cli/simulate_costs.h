// What a simulation is told of the coordinator's own costs, and the table that shows where they begin to
// matter.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "base/result.h"
#include "cli/study_plan.h"
#include "coordinator/simulator.h"

namespace regatta {

struct CostOptions {
  bool ideal = false;  // the coordinator takes no time
  CoordinatorCosts costs;
  double commit_ms = CoordinatorCosts{}.commit_us / 1000;
  std::optional<double> proposal_ms;
};

void add_cost_options(CLI::App& command, CostOptions& options);
std::optional<CoordinatorCosts> costs_of(const CostOptions& options);

// Plays the plan's search for a while with 16 to `most_crews` crews and trials of 1 s to 1 h, and prints
// which share of their time the crews train, and which the coordinator works. Exit code.
Result<int> run_sweep(StudyPlan& plan, const SimulationOptions& options, std::optional<int> most_crews);

}  // namespace regatta

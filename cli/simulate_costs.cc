// Points of a sweep are drawn at random, because only the time of a proposal matters there; the file's own
// sampler is what is paid for.
#include "cli/simulate_costs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <vector>

#include "base/text.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "experiment/node.h"
#include "experiment/section.h"
#include "search/search.h"

namespace regatta {
namespace {

constexpr std::array kCrews{16, 64, 256, 1024, 1920, 4096, 16'384, 100'000};
struct TrialLength {
  const char* name;
  double seconds;
};
constexpr std::array<TrialLength, 5> kLengths{
    {{"1 s", 1}, {"10 s", 10}, {"1 min", 60}, {"10 min", 600}, {"1 h", 3600}}};
constexpr double kEpochs = 500'000;  // to be played for a cell
constexpr double kFewestTrials = 3;  // of a crew
constexpr double kMostTrials = 100;
constexpr int kProgramEpochs = 10;  // of a program that decides itself when it is done

struct Cell {
  double trained = 0;  // share of the crews' time
  double coordinator = 0;
};

// nullopt: heartbeats alone are too many.
Result<std::optional<Cell>> play(const StudyPlan& plan, SimulationOptions options, double trial_seconds) {
  const double epochs = plan.max_epochs < kUnlimitedEpochs ? plan.max_epochs : kProgramEpochs;
  options.epoch_seconds = trial_seconds / epochs;
  if (options.costs && heartbeat_load(*options.costs, options.crews, options.epoch_seconds) >= 1) {
    return std::optional<Cell>();
  }
  SearchConfig search = plan.search;
  ASSIGN_OR_RETURN(const Node drawn, parse_yaml("random", "sweep"));
  ASSIGN_OR_RETURN(search.sampler, read_typed(drawn, "sampler"));
  const double trials = std::clamp(kEpochs / epochs / options.crews, kFewestTrials, kMostTrials);
  search.stop = {.trials = {}, .hours = trials * trial_seconds / 3600, .target = {}};
  Study study(plan.experiment, std::move(search), {.evaluate_best = false});
  ASSIGN_OR_RETURN(const SimulationResult result, simulate(study, options));
  return std::optional(Cell{.trained = result.busy_fraction + result.lost_fraction,
                            .coordinator = result.coordinator_busy_fraction});
}

}  // namespace

void add_cost_options(CLI::App& command, CostOptions& options) {
  const auto add = [&command](const char* name, double& value, const char* what) {
    command.add_option(name, value, what)
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str()
        ->group("The coordinator's own costs (docs/scale.md)");
  };
  const char* group = "The coordinator's own costs (docs/scale.md)";
  command.add_flag("--ideal-coordinator", options.ideal, "it takes no time")->group(group);
  add("--message-us", options.costs.message_us, "to receive a message and to decide what follows");
  add("--heartbeat-us", options.costs.heartbeat_us, "to receive and to answer a sign of life");
  add("--event-us", options.costs.event_us, "to store an event");
  add("--commit-ms", options.commit_ms,
      "of a transaction, which stores all that has come meanwhile; slow shared file systems: 10 to 50");
  add("--send-us", options.costs.send_us, "to send a message");
  add("--delete-us", options.costs.delete_us, "to delete a checkpoint");
  add("--relay-us", options.costs.relay_us, "to encrypt or decrypt a message, in a thread of its own");
  add("--network-us", options.costs.network_us, "of a message on its way");
  command
      .add_option("--proposal-ms", options.proposal_ms, "of one proposal, in place of what the sampler takes")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  command
      .add_option("--heartbeat-seconds", options.costs.heartbeat_s,
                  "a crew that has said nothing for so long gives a sign of life")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
}

std::optional<CoordinatorCosts> costs_of(const CostOptions& options) {
  if (options.ideal) {
    return std::nullopt;
  }
  CoordinatorCosts costs = options.costs;
  costs.commit_us = options.commit_ms * 1000;
  if (options.proposal_ms) {
    costs.proposal_us = *options.proposal_ms * 1000;
  }
  return costs;
}

Result<int> run_sweep(StudyPlan& plan, const SimulationOptions& options, std::optional<int> most_crews) {
  std::vector<int> crew_counts;
  std::ranges::copy_if(kCrews, std::back_inserter(crew_counts),
                       [&](int crews) { return !most_crews || crews < *most_crews; });
  if (most_crews) {
    crew_counts.push_back(*most_crews);
  }
  std::vector<std::vector<std::optional<Cell>>> rows;
  std::string heading = fmt::format("{:>9}", "crews");
  for (const TrialLength& length : kLengths) {
    heading += fmt::format("{:>10}", length.name);
  }
  print_out("share of the crews' time spent training, in %, by the length of a trial\n{}\n", heading);
  for (const int crews : crew_counts) {
    std::vector<std::optional<Cell>>& row = rows.emplace_back();
    std::string line = fmt::format("{:>9}", format_count(crews));
    for (const TrialLength& length : kLengths) {
      SimulationOptions cell = options;
      cell.crews = crews;
      cell.lanes = std::max(1, plan.resources.lanes);
      if (cell.costs) {
        cell.costs->sampler = plan.search.sampler.type;
      }
      ASSIGN_OR_RETURN(row.emplace_back(), play(plan, cell, length.seconds));
      line += row.back() ? fmt::format("{:>10.2f}", 100 * row.back()->trained) : fmt::format("{:>10}", "-");
    }
    print_out("{}\n", line);
    std::fflush(stdout);
  }
  print_out("\nshare of its time that the coordinator works, in %\n{}\n", heading);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string line = fmt::format("{:>9}", format_count(crew_counts[i]));
    for (const auto& cell : rows[i]) {
      line += cell ? fmt::format("{:>10.2f}", 100 * cell->coordinator) : fmt::format("{:>10}", "-");
    }
    print_out("{}\n", line);
  }
  return kExitDone;
}

}  // namespace regatta

// regatta simulate FILE: the study's own decisions, with crews and curves drawn by a seed, in virtual time.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/elastic_plan.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/simulate_costs.h"
#include "cli/study_plan.h"
#include "cli/table_trials.h"
#include "cli/trial_text.h"
#include "coordinator/simulator.h"

namespace regatta {
namespace {

struct SimulateOptions {
  std::filesystem::path file;
  std::vector<std::string> overrides;
  std::optional<int> trials;
  std::optional<int> crews;
  std::optional<int> lanes;
  SimulationOptions simulation;
  CostOptions costs;
  bool sweep = false;
};

void print_result(const Study& study, const SimulationResult& result) {
  print_out("crew time   {:.2f} % busy, {:.2f} % lost\n", 100 * result.busy_fraction,
            100 * result.lost_fraction);
  print_out("makespan    {} ({:.3f} s)\n", format_duration(result.makespan_seconds), result.makespan_seconds);
  print_out("trials      {}: {} complete, {} stopped, {} failed\n", format_count(result.trials),
            format_count(result.complete), format_count(result.stopped), format_count(result.failed));
  print_out("work        {} epochs in {} attempts\n", format_count(result.epochs),
            format_count(result.attempts));
  if (result.best_trial >= 0) {
    print_out("best        trial {}, simulated {} {} {}\n", result.best_trial,
              study.experiment().objectives.front().metric, format_value(result.best_value),
              describe_point(study, result.best_trial));
  }
  if (result.coordinator_busy_fraction > 0) {
    print_out("coordinator {:.2f} % busy, {} messages in {} transactions, longest answer after {:.3f} s\n",
              100 * result.coordinator_busy_fraction, format_count(result.messages),
              format_count(result.transactions), result.longest_answer_seconds);
  }
  print_out("fingerprint {:016x}\n", result.fingerprint);
  std::fflush(stdout);
  print_to(stderr, "simulated in {}\n", format_duration(result.wall_seconds));
}

Result<int> run_simulation(SimulateOptions& options) {
  if (options.trials) {
    options.overrides.push_back(fmt::format("search.stop.trials={}", *options.trials));
  }
  if (options.lanes) {
    options.overrides.push_back(fmt::format("resources.lanes={}", *options.lanes));
  }
  ASSIGN_OR_RETURN(Experiment experiment, load_experiment(options.file, options.overrides));
  ASSIGN_OR_RETURN(const auto plan, plan_study(std::move(experiment), {.check_training = false}));
  const auto study = make_study(*plan);
  options.simulation.costs = costs_of(options.costs);
  if (options.sweep) {
    return run_sweep(*plan, options.simulation, options.crews);
  }
  options.simulation.crews = options.crews.value_or(plan->resources.crews);
  options.simulation.lanes = std::max(1, plan->resources.lanes);
  options.simulation.elastic = elastic_options(*plan).has_value();
  const std::string lanes =
      options.simulation.lanes > 1 ? fmt::format(" of {} lanes", options.simulation.lanes) : "";
  print_out("simulating  {}, {} crews{}, seed {}, epochs of {} s\n", plan->experiment.name,
            format_count(options.simulation.crews), lanes, options.simulation.seed,
            format_number(options.simulation.epoch_seconds));
  std::optional<LearningCurves> table;
  std::optional<TableTrials> trials;
  if (is_table_study(plan->experiment)) {
    ASSIGN_OR_RETURN(table, LearningCurves::load(plan->experiment));
    options.simulation.curves = &trials.emplace(*table, plan->experiment);
  }
  ASSIGN_OR_RETURN(const SimulationResult result, simulate(*study, options.simulation));
  print_result(*study, result);
  return result.best_trial >= 0 ? kExitDone : kExitStudyFailed;
}

}  // namespace

void add_simulate_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand(
      "simulate", "play the study in virtual time with simulated crews: utilisation, makespan, best value");
  const auto options = std::make_shared<SimulateOptions>();
  SimulationOptions& simulation = options->simulation;
  command
      ->add_option("FILE", options->file,
                   "the experiment (YAML); its data and model are not read, a table is")
      ->required();
  command->add_option("--set", options->overrides, "change a value of the file: KEY=VALUE; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--crews", options->crews, "simulated crews, in place of resources.crews")
      ->check(CLI::Range(1, 1'000'000));
  command->add_option("--lanes", options->lanes, "trials of a crew at once, in place of resources.lanes")
      ->check(CLI::Range(1, 1'000'000));
  command
      ->add_option("--lane-cost", simulation.lane_cost,
                   "time that each further trial adds to a crew's epochs, as a share of what it takes alone")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--trials", options->trials, "in place of search.stop.trials")
      ->check(CLI::Range(1, 100'000'000));
  command->add_option("--seed", simulation.seed, "of curves, times and faults")->capture_default_str();
  command->add_option("--epoch-seconds", simulation.epoch_seconds, "median time of one epoch")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option("--epoch-spread", simulation.epoch_spread,
                   "sigma of the logarithm of a trial's epoch time")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--start-seconds", simulation.start_seconds, "time to start an attempt")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--mean-seconds-to-failure", simulation.mean_seconds_to_failure,
                   "of a crew; 0: crews never die")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--restart-seconds", simulation.restart_seconds, "until a dead crew is back")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--reshape-seconds", simulation.reshape_seconds,
                   "until a larger crew, of several others' slots, is there")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command
      ->add_option("--elastic-efficiency", simulation.elastic_efficiency,
                   "speed of a larger crew, as a share of what its slots have apart")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  add_cost_options(*command, options->costs);
  command->add_flag(
      "--sweep", options->sweep,
      "a table instead: how busy 16 to 100,000 crews (or at most --crews) are with trials of 1 s to "
      "1 h while the search goes on");
  command->callback([options, &action] { action = [options] { return run_simulation(*options); }; });
}

}  // namespace regatta

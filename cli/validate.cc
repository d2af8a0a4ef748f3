// regatta validate FILE: the resolved plan, or the first mistake.
#include <fmt/format.h>

#include <map>

#include "base/host.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/study_plan.h"
#include "cli/table.h"
#include "cluster/slurm_room.h"

namespace regatta {
namespace {

void print_space(const Space& space) {
  const auto cardinality = space.cardinality();
  const std::string size = !cardinality ? "continuous"
                           : *cardinality == 1
                               ? "1 point"
                               : format_count(static_cast<std::int64_t>(*cardinality)) + " points";
  print_out("\nspace: {}\n", size);
  Table table({{"parameter"}, {"values"}, {"when"}});
  for (const Parameter& parameter : space.parameters()) {
    table.add({parameter.name, describe(parameter.domain), parameter.when ? parameter.when->text() : ""});
  }
  print_out("{}", table.str("  "));
  if (space.requirements().empty()) {
    return;
  }
  for (const Expression& requirement : space.requirements()) {
    print_out("  required: {}\n", requirement.text());
  }
  const double share = 100.0 * static_cast<double>(allowed_draws(space).size()) / kAllowanceDraws;
  print_out("  allowed: {} % of the space\n",
            share < 0.1 ? "less than 0.1" : fmt::format("about {:.3g}", share));
}

std::string describe_stop(const StopRule& stop, const std::optional<int>& limit) {
  std::vector<std::string> rules;
  if (limit) {
    rules.push_back(fmt::format("{} trials", format_count(*limit)));
  }
  if (stop.hours) {
    rules.push_back(format_duration(*stop.hours * 3600));
  }
  if (stop.target) {
    rules.push_back(fmt::format("the objective reaches {}", format_number(*stop.target)));
  }
  return rules.empty() ? "the scheduler ends it" : fmt::format("{}", fmt::join(rules, ", or "));
}

void print_rungs(const Scheduler& scheduler, const std::optional<int>& limit) {
  const std::vector<RungPlan> rungs = scheduler.plan();
  if (!rungs.empty()) {
    Table table({{"bracket", Table::Align::right},
                 {"trials", Table::Align::right},
                 {"until epoch", Table::Align::right},
                 {"cost in epochs", Table::Align::right}});
    std::map<int, int> trained;
    for (const RungPlan& rung : rungs) {
      const std::int64_t cost = std::int64_t{rung.trials} * (rung.epochs - trained[rung.bracket]);
      trained[rung.bracket] = rung.epochs;
      table.add({std::to_string(rung.bracket), rung.trials > 0 ? format_count(rung.trials) : "as they come",
                 format_count(rung.epochs), rung.trials > 0 ? format_count(cost) : "-"});
    }
    print_out("{}", table.str("  "));
  }
  const auto round = planned_epochs(scheduler, std::nullopt);
  if (round && scheduler.trials_per_round() > 0) {
    print_out("  one round: {} trials, {} epochs\n", scheduler.trials_per_round(), format_number(*round));
  }
  if (const auto total = planned_epochs(scheduler, limit)) {
    print_out("  in all: about {} epochs\n", format_count(static_cast<std::int64_t>(*total)));
  }
}

void print_search(const StudyPlan& plan, const Study& study) {
  const Objective& objective = plan.experiment.objectives.front();
  const std::optional<int> limit = study.trial_limit();
  print_out("\nsearch: {} {} with {} and {}; ends with {}\n",
            objective.direction == Direction::maximize ? "maximize" : "minimize", objective.metric,
            plan.search.sampler.type, plan.search.scheduler.type, describe_stop(plan.search.stop, limit));
  print_rungs(study.scheduler(), limit);
  if (!plan.search.known.empty()) {
    print_out("  tried first:\n");
  }
  for (const Point& point : plan.search.known) {
    print_out("    {}\n", plan.experiment.space.describe(point));
  }
  for (std::size_t i = 0; i < plan.search.earlier.size(); ++i) {
    const EarlierStudy& earlier = plan.search.earlier[i];
    print_out("  learns from {}: {} trials", plan.search.learn_from[i].study,
              format_count(static_cast<std::int64_t>(earlier.trials.size())));
    if (earlier.outside > 0) {
      print_out("; {} more lie outside of this space", earlier.outside);
    }
    print_out("\n");
  }
}

void print_data(const DataShape& data, const Augmentation& augmentation) {
  const bool classification = data.task == Task::classification;
  print_out("\ndata: samples of {}, {} {}\n", describe(data.sample_shape), data.outputs,
            classification ? (data.positions > 1 ? "tokens" : "classes")
                           : (data.outputs == 1 ? "target" : "targets"));
  print_out("  training {}, validation {}, test {}\n", format_count(data.train_count),
            format_count(data.validation_count), format_count(data.test_count));
  if (const std::string changes = describe(augmentation); !changes.empty()) {
    print_out("  training samples are changed: {}\n", changes);
  }
}

const char* kind_of(const Layer& layer) {
  struct Names {
    const char* operator()(const Dense&) const { return "dense"; }
    const char* operator()(const Conv&) const { return "conv"; }
    const char* operator()(const Depthwise&) const { return "depthwise"; }
    const char* operator()(const GlobalPool& pool) const {
      return pool.kind == Pool::Kind::max ? "global_pool: max" : "global_pool: average";
    }
    const char* operator()(const Pool& pool) const {
      return pool.kind == Pool::Kind::max ? "max_pool" : "average_pool";
    }
    const char* operator()(const Activation& activation) const {
      switch (activation.kind) {
        case Activation::Kind::relu:
          return "relu";
        case Activation::Kind::gelu:
          return "gelu";
        case Activation::Kind::tanh:
          return "tanh";
        case Activation::Kind::sigmoid:
          return "sigmoid";
      }
      check_failed("a known activation", __FILE__, __LINE__);
    }
    const char* operator()(const Flatten&) const { return "flatten"; }
    const char* operator()(const Dropout&) const { return "dropout"; }
    const char* operator()(const BatchNorm&) const { return "batch_norm"; }
    const char* operator()(const Residual&) const { return "residual"; }
    const char* operator()(const Reshape&) const { return "reshape"; }
    const char* operator()(const TimePool&) const { return "pool_time"; }
    const char* operator()(const LayerNorm&) const { return "layer_norm"; }
    const char* operator()(const Embedding&) const { return "embedding"; }
    const char* operator()(const PositionEmbedding&) const { return "position_embedding"; }
    const char* operator()(const Attention&) const { return "attention"; }
    const char* operator()(const Recurrent& recurrent) const {
      return recurrent.kind == Recurrent::Kind::lstm ? "lstm" : "gru";
    }
    const char* operator()(const Conv1d&) const { return "conv1d"; }
  };
  return std::visit(Names{}, layer.what);
}

void print_network(const Network& network, bool searched) {
  print_out("\nnetwork: {} parameters{}\n", format_count(network.parameter_count),
            searched ? " at the first representative point" : "");
  Table table({{"layer"}, {"kind"}, {"input"}, {"output"}, {"parameters", Table::Align::right}});
  for (const PlannedLayer& planned : network.summary) {
    table.add({std::string(2 * static_cast<std::size_t>(planned.depth), ' ') + planned.layer.name,
               kind_of(planned.layer), describe(planned.input), describe(planned.output),
               format_count(planned.parameter_count)});
  }
  print_out("{}", table.str("  "));
}

void print_resources(const Resources& resources) {
  const bool is_settled = resources.hosts.empty() && !awaits_allocation(resources);
  print_out(
      "\nresources: {} crew{} × {} rank{} × {} thread{}{}, device {}, on {} core{}; up to {} attempts "
      "a trial\n",
      resources.crews, resources.crews == 1 ? "" : "s", resources.ranks, resources.ranks == 1 ? "" : "s",
      resources.threads, resources.threads == 1 ? "" : "s",
      resources.lanes == kLanesThatFit ? ", as many lanes as fit"
      : resources.lanes > 1            ? fmt::format(", {} lanes a crew", resources.lanes)
                                       : "",
      !is_settled            ? resources.device.c_str()
      : resources.on_cards() ? "cuda"
                             : "cpu",
      usable_cores(), usable_cores() == 1 ? "" : "s", resources.max_attempts);
  if (!resources.hosts.empty()) {
    print_out("  on the hosts {}; `regatta hosts FILE` tries them\n", describe(resources.hosts));
  }
  if (awaits_allocation(resources)) {
    print_out("  as steps of the Slurm job that `regatta submit FILE` asks for, with what that has\n");
  }
  if (!resources.why_cpus.empty()) {
    print_out("  on CPUs, because {}; `ranks_per_gpu: N` lets them share\n", resources.why_cpus);
  }
  if (const auto warning = oversubscription_warning(resources, usable_cores())) {
    print_out("  {}\n", *warning);
  }
}

struct ValidateOptions {
  std::filesystem::path file;
  std::vector<std::string> overrides;
};

Result<int> validate(const ValidateOptions& options) {
  ASSIGN_OR_RETURN(Experiment experiment, load_experiment(options.file, options.overrides));
  ASSIGN_OR_RETURN(const auto plan, plan_study(std::move(experiment), {.check_training = true}));
  if (!awaits_allocation(plan->resources)) {
    RETURN_IF_ERROR(settle_devices(*plan));
  }
  const auto study = make_study(*plan);
  print_out("{}: {}, seed {}\n", options.file.string(), plan->experiment.name, plan->experiment.seed);
  print_space(plan->experiment.space);
  print_search(*plan, *study);
  if (plan->training.data) {
    print_data(*plan->training.data, plan->training.augmentation);
  }
  if (plan->training.model) {
    print_network(plan->training.model->network, plan->experiment.space.size() > 0);
  }
  if (plan->curves) {
    print_out(
        "\ntable: {} of {} rows lie within the space; up to {} epochs; a trial takes the nearest row{}\n",
        format_count(static_cast<std::int64_t>(plan->curves->rows())),
        format_count(static_cast<std::int64_t>(plan->curves->rows_in_file())), plan->curves->epochs(),
        plan->curves->repeats() ? "" : " that none has taken");
  }
  if (!plan->training.command.empty()) {
    print_out("\ncommand, at the first representative point:\n  {}\n",
              fmt::join(plan->training.command, " "));
  }
  if (plan->curves) {
    print_out("\nresources: {} simulated crews\n", plan->resources.crews);
  } else {
    print_resources(plan->resources);
  }
  return kExitDone;
}

}  // namespace

void add_validate_command(CLI::App& program, Action& action) {
  CLI::App* command = program.add_subcommand("validate", "check FILE and print what would run");
  const auto options = std::make_shared<ValidateOptions>();
  command->add_option("FILE", options->file, "the experiment (YAML)")->required();
  command->add_option("--set", options->overrides, "change a value of the file: KEY=VALUE; may be repeated")
      ->allow_extra_args(false);
  command->callback([options, &action] { action = [options] { return validate(*options); }; });
}

}  // namespace regatta

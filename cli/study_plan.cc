// Every section is read here once by the folder that owns it, before anything is started.
#include "cli/study_plan.h"

#include <fmt/format.h>

#include <map>

#include "base/host.h"
#include "cli/earlier_studies.h"
#include "cli/elastic_plan.h"
#include "cluster/binding.h"
#include "cluster/slurm_room.h"
#include "devices/devices.h"
#include "worker/card_engines.h"
#include "worker/shape_key.h"

namespace regatta {
namespace {

Place place_of_scheduler(const Experiment& experiment) {
  const Node* search = experiment.section("search");
  const Node* scheduler = search != nullptr ? search->find("scheduler") : nullptr;
  if (scheduler != nullptr) {
    return scheduler->place();
  }
  return search != nullptr ? search->place() : experiment.root.place();
}

Status check_table(const Experiment& experiment) {
  const Node* table = experiment.section("table");
  for (const std::string_view key : {"model", "train", "data", "command"}) {
    if (const Node* other = experiment.section(key)) {
      return mistake_at(other->place(),
                        fmt::format("`table` at {} is looked up in place of a training; leave "
                                    "`{}` out",
                                    table->place().str(), key));
    }
  }
  return {};
}

// `train` and `resources` belong to different folders and must fit each other.
Status check_shards(const Experiment& experiment, const TrialPlan& training, int ranks) {
  const int shards = training.model ? training.model->train.shards : 0;
  if (shards % ranks == 0) {
    return {};
  }
  return mistake_at(experiment.section("train")->find("deterministic")->place(),
                    fmt::format("deterministic: {} virtual shards cannot be divided among {} ranks; set "
                                "resources.ranks to a power of two up to {}",
                                shards, ranks, shards));
}

// The simulated crews of a table cost nothing: as many as are asked for, and one otherwise, on any machine.
Result<Resources> resources_of(const Experiment& experiment) {
  const Node node = experiment.section_or_empty("resources");
  ASSIGN_OR_RETURN(Resources resources, read_resources(node, usable_cores()));
  if (resources.lanes != 1 && experiment.section("command") != nullptr) {
    return mistake_at(node.find("lanes")->place(),
                      "lanes: only networks (`model`) are trained side by side in a crew; a `command` is a "
                      "program of its own: leave lanes out, and give more `crews` instead");
  }
  if (resources.wire != "fp32" && experiment.section("command") != nullptr) {
    return mistake_at(node.find("wire")->place(),
                      "wire: only the gradients of networks (`model`) travel between ranks; leave it out");
  }
  if (is_table_study(experiment) && node.find("crews") == nullptr) {
    resources.crews = 1;
  }
  return resources;
}

}  // namespace

bool is_table_study(const Experiment& experiment) { return experiment.section("table") != nullptr; }

Result<std::unique_ptr<StudyPlan>> plan_study(Experiment experiment, const PlanOptions& options) {
  ASSIGN_OR_RETURN(SearchConfig search, read_search(experiment));
  if (options.learned) {
    search.earlier = *options.learned;
  } else {
    ASSIGN_OR_RETURN(search.earlier, read_earlier_studies(experiment, search.learn_from));
  }
  ASSIGN_OR_RETURN(const auto scheduler,
                   make_scheduler(search.scheduler, search_context(experiment, search)));
  ASSIGN_OR_RETURN(const Resources resources, resources_of(experiment));
  const int max_epochs = scheduler->max_epochs();
  TrialPlan training;
  if (is_table_study(experiment)) {
    RETURN_IF_ERROR(check_table(experiment));
  } else if (options.check_training) {
    if (experiment.section("command") == nullptr && max_epochs == kUnlimitedEpochs) {
      return mistake_at(place_of_scheduler(experiment),
                        "a network needs a number of epochs: give the scheduler max_epochs");
    }
    ASSIGN_OR_RETURN(training, check_experiment(experiment, max_epochs));
    RETURN_IF_ERROR(check_shards(experiment, training, resources.ranks));
  }
  Node resources_section = experiment.section_or_empty("resources");
  auto plan = std::make_unique<StudyPlan>(StudyPlan{.experiment = std::move(experiment),
                                                    .search = std::move(search),
                                                    .resources = resources,
                                                    .resources_section = std::move(resources_section),
                                                    .max_epochs = max_epochs,
                                                    .training = std::move(training),
                                                    .curves = std::nullopt});
  if (options.check_training && is_table_study(plan->experiment)) {
    ASSIGN_OR_RETURN(plan->curves, LearningCurves::load(plan->experiment));
  }
  return plan;
}

std::string why_no_cards(const StudyPlan& plan) {
  const Node* const deterministic = plan.experiment.section_or_empty("train").find("deterministic");
  if (deterministic != nullptr && !deterministic->is_null()) {
    return "`deterministic: world` is computed on CPUs only";
  }
  const bool runs_program = plan.experiment.section("command") != nullptr;
  if (plan.resources.device == "cpu") {
    return "the study asks for CPUs";
  }
  if (!runs_program && !has_card_engines()) {
    const std::string none = find_devices().why_none;
    return none.empty() ? "this build trains networks on CPUs only" : none;
  }
  return plan.resources.device == "auto" && runs_program ? "a command is dealt cards where `device` is cuda"
                                                         : "";
}

HostCards cards_for(const StudyPlan& plan) {
  HostCards cards{.host = host_name(), .count = 0, .why_none = why_no_cards(plan)};
  if (cards.why_none.empty() && plan.resources.launcher != "mpirun") {
    if (const auto allocation = slurm_allocation()) {
      cards.host = "of job " + allocation->job;
      cards.count = allocation->gpus_a_node;
      cards.why_none = "it was not given any: ask for --gpus-per-node";
      return cards;
    }
  }
  if (cards.why_none.empty()) {
    const FoundDevices found = find_devices();
    cards.why_none = found.why_none;
    cards.count = static_cast<int>(found.cards.size());
    for (const Card& card : found.cards) {
      cards.buses.push_back(card.bus);
    }
  }
  return cards;
}

Status settle_devices(StudyPlan& plan, std::optional<int> crews) {
  if (is_table_study(plan.experiment) || !plan.resources.hosts.empty()) {
    return {};
  }
  std::optional<SlurmAllocation> allocation;
  if (!crews) {  // else they have been started
    ASSIGN_OR_RETURN(allocation, allocation_for(plan.resources, plan.resources_section, slurm_allocation()));
  }
  const HostCards cards = cards_for(plan);
  if (!allocation) {
    RETURN_IF_ERROR(settle_devices(plan.resources, plan.resources_section, cards, usable_cores(), crews));
    settle_cores(plan.resources, find_host_cores(cards.buses));
    return {};
  }
  if (plan.resources.device == "cuda" && cards.count == 0) {
    return mistake_at(
        plan.resources_section.find("device")->place(),
        fmt::format("device: there is no card for 'cuda' on the nodes {}: {}; or use 'auto' or 'cpu'",
                    cards.host, cards.why_none));
  }
  return settle_room(plan.resources, plan.resources_section,
                     {.allocation = *allocation, .on_cards = cards.count > 0});
}

std::unique_ptr<Study> make_study(const StudyPlan& plan) {
  const bool trains_network =
      plan.experiment.section("command") == nullptr && !is_table_study(plan.experiment);
  StudyOptions options{.max_attempts = plan.resources.max_attempts,
                       .evaluate_best = trains_network,
                       .elastic = elastic_options(plan)};
  if (plan.resources.lanes != 1 && trains_network) {
    options.shape_of = [&plan](const Point& point) {
      const auto key = shape_key(plan.experiment, point);
      return key.ok() ? *key : "cannot be trained";
    };
  }
  return std::make_unique<Study>(plan.experiment, plan.search, std::move(options));
}

std::optional<double> planned_epochs(const Scheduler& scheduler, std::optional<int> trials) {
  const std::vector<RungPlan> rungs = scheduler.plan();
  const int per_round = scheduler.trials_per_round();
  if (per_round == 0) {
    const bool every_trial_is_alike = rungs.size() == 1 && rungs[0].epochs != kUnlimitedEpochs;
    return trials && every_trial_is_alike ? std::optional(1.0 * *trials * rungs[0].epochs) : std::nullopt;
  }
  double round = 0;
  std::map<int, int> trained;  // epochs that a bracket's trials have behind them, from rung to rung
  for (const RungPlan& rung : rungs) {
    round += static_cast<double>(rung.trials) * (rung.epochs - trained[rung.bracket]);
    trained[rung.bracket] = rung.epochs;
  }
  return trials ? round * *trials / per_round : round;
}

}  // namespace regatta

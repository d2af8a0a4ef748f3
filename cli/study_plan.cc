// Every section is read here once by the folder that owns it, before anything is started.
#include "cli/study_plan.h"

#include <map>

#include "cli/earlier_studies.h"

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

}  // namespace

Result<std::unique_ptr<StudyPlan>> plan_study(Experiment experiment, const PlanOptions& options) {
  ASSIGN_OR_RETURN(SearchConfig search, read_search(experiment));
  if (options.learned) {
    search.earlier = *options.learned;
  } else {
    ASSIGN_OR_RETURN(search.earlier, read_earlier_studies(experiment, search.learn_from));
  }
  ASSIGN_OR_RETURN(const auto scheduler,
                   make_scheduler(search.scheduler, search_context(experiment, search)));
  ASSIGN_OR_RETURN(const Resources resources,
                   read_resources(experiment.section_or_empty("resources"), usable_cores()));
  const int max_epochs = scheduler->max_epochs();
  TrialPlan training;
  if (options.check_training) {
    if (experiment.section("command") == nullptr && max_epochs == kUnlimitedEpochs) {
      return mistake_at(place_of_scheduler(experiment),
                        "a network needs a number of epochs: give the scheduler max_epochs");
    }
    ASSIGN_OR_RETURN(training, check_experiment(experiment, max_epochs));
  }
  return std::make_unique<StudyPlan>(StudyPlan{.experiment = std::move(experiment),
                                               .search = std::move(search),
                                               .resources = resources,
                                               .max_epochs = max_epochs,
                                               .training = std::move(training)});
}

std::unique_ptr<Study> make_study(const StudyPlan& plan) {
  const bool trains_network = plan.experiment.section("command") == nullptr;
  const StudyOptions options{.max_attempts = plan.resources.max_attempts, .evaluate_best = trains_network};
  return std::make_unique<Study>(plan.experiment, plan.search, options);
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

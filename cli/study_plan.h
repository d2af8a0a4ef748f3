// All that an experiment file says, read and checked: what `run` starts, `validate` prints and `simulate`
// plays.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "cluster/resources.h"
#include "coordinator/study.h"
#include "data/learning_curves.h"
#include "experiment/experiment.h"
#include "experiment/node.h"
#include "search/search.h"
#include "worker/plan.h"

namespace regatta {

struct StudyPlan {
  Experiment experiment;
  SearchConfig search;
  Resources resources;
  Node resources_section;                // that they were read from, for later mistakes
  int max_epochs = 0;                    // of a trial that is never stopped
  TrialPlan training;                    // empty unless it was checked
  std::optional<LearningCurves> curves;  // of a `table:`; only where the training was checked
};

struct PlanOptions {
  // Reads the data and tries the model on representative points. Without, only the search and the resources
  // are checked: enough to simulate a study or to look at a stored one.
  bool check_training = true;
  // What search.learn_from stands for in a stored study; else those studies are read.
  std::optional<std::vector<EarlierStudy>> learned;
};

// The first mistake, or the plan. At a fixed address: studies refer to their plan.
Result<std::unique_ptr<StudyPlan>> plan_study(Experiment experiment, const PlanOptions& options);

// Why this study uses no cards on any host: an empty text where it may use some.
std::string why_no_cards(const StudyPlan& plan);

// The cards of this host, if the study is to use any: it does not ask for CPUs, and what it runs knows cards.
// A `command` gets its own only where `device: cuda` asks for them; else its programs see what there is.
HostCards cards_for(const StudyPlan& plan);

// What resources.device and resources.bind come to on this host (see settle_devices, settle_cores). Before
// crews are started; not for a table, and not where the study names its hosts (see settle_resources).
Status settle_devices(StudyPlan& plan, std::optional<int> crews = {});

// A fresh study; the plan must outlive it.
std::unique_ptr<Study> make_study(const StudyPlan& plan);

// Whether trials are looked up in a `table:` in place of being trained by crews.
bool is_table_study(const Experiment& experiment);

// What `trials` trials cost in epochs when none ends early by itself; without a number, one full round of the
// scheduler. nullopt where the scheduler decides as it goes.
std::optional<double> planned_epochs(const Scheduler& scheduler, std::optional<int> trials);

}  // namespace regatta

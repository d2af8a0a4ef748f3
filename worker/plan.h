// What a trial runs: the network engine on the experiment's data, or the user's program. Also used for
// validation.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/augmentation.h"
#include "data/dataset.h"
#include "experiment/experiment.h"
#include "models/model.h"

namespace regatta {

// What a model of these data predicts.
Prediction prediction_of(const DataShape& shape);

// A section with every $name replaced by the point's value; a null node where the file has none.
Result<Node> section_at(const Experiment& experiment, std::string_view key, const Point& point);

// The model of one point, for a known data shape; a point that cannot be built is a located mistake.
Result<ModelConfig> plan_trial(const Experiment& experiment, const DataShape& data, const Point& point,
                               int max_epochs);

// The command of one point, every $name replaced.
Result<std::vector<std::string>> plan_command(const Experiment& experiment, const Point& point);

// Everything of the experiment that a crew reads, tried on representative points: the first located mistake,
// or what will be trained. Reads the data. A point that alone cannot be built is not a mistake of the file
// (it becomes an invalid trial) unless no representative point can be built.
struct TrialPlan {
  std::optional<DataShape> data;     // with a model
  Augmentation augmentation;         // of the first representative point
  std::optional<ModelConfig> model;  // of the first representative point
  std::vector<std::string> command;  // of the first representative point
  std::vector<std::string>
      metrics;  // that reports will name; empty for programs: theirs are not known in advance
};
Result<TrialPlan> check_experiment(const Experiment& experiment, int max_epochs);

}  // namespace regatta

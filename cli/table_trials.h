// Trials that are looked up in a table: what simulated crews report.
#pragma once

#include <span>
#include <vector>

#include "coordinator/simulator.h"
#include "data/learning_curves.h"
#include "search/trial.h"

namespace regatta {

class TableTrials final : public TrialCurves {
 public:
  // Both must outlive this. `trials` are those of earlier sessions, which have taken their rows already.
  TableTrials(const LearningCurves& curves, const Experiment& experiment, std::span<const Trial> trials = {});

  std::optional<Metrics> metrics(int trial, const Point& point, int epoch) override;
  std::optional<double> epoch_seconds(int trial, const Point& point) override;

 private:
  std::size_t row_of(int trial, const Point& point);

  const LearningCurves& curves_;
  const Experiment& experiment_;
  std::vector<std::size_t> rows_;  // by trial
  std::vector<bool> taken_;
};

}  // namespace regatta

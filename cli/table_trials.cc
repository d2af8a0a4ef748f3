// The row of a trial is a function of the points of all trials up to it, so that a study that goes on finds
// the same rows.
#include "cli/table_trials.h"

#include "base/check.h"

namespace regatta {

TableTrials::TableTrials(const LearningCurves& curves, const Experiment& experiment,
                         std::span<const Trial> trials)
    : curves_(curves), experiment_(experiment), taken_(curves.rows(), false) {
  for (const Trial& trial : trials) {
    row_of(trial.number, trial.point);
  }
}

std::optional<Metrics> TableTrials::metrics(int trial, const Point& point, int epoch) {
  const std::size_t row = row_of(trial, point);
  if (epoch > curves_.epochs_of(row)) {
    return std::nullopt;
  }
  const std::vector<double> values = curves_.values(row, epoch);
  Metrics metrics;
  for (std::size_t i = 0; i < values.size(); ++i) {
    metrics.emplace_back(experiment_.objectives[i].metric, values[i]);
  }
  return metrics;
}

std::optional<double> TableTrials::epoch_seconds(int trial, const Point& point) {
  return curves_.epoch_seconds(row_of(trial, point));
}

std::size_t TableTrials::row_of(int trial, const Point& point) {
  const auto number = static_cast<std::size_t>(trial);
  if (number < rows_.size()) {
    return rows_[number];
  }
  CHECK(number == rows_.size(), "trials take their rows in the order of their numbers");
  auto row = curves_.nearest(point, taken_);
  if (!row) {  // more trials than rows: once more
    taken_.assign(curves_.rows(), false);
    row = curves_.nearest(point, taken_);
  }
  taken_[*row] = !curves_.repeats();
  rows_.push_back(*row);
  return *row;
}

}  // namespace regatta

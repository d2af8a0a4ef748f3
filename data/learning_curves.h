// Learning curves that were measured once, in a CSV file: a row a configuration. The `table:` section looks
// trials up in it in place of training them, so that searches can be compared in seconds.
//
//   table: {path: curves.csv, values: v1, untrained: false, repeat: false, cost: epoch_seconds}
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "experiment/experiment.h"

namespace regatta {

class LearningCurves {
 public:
  // Reads the `table:` section, which must be there, and its file. Mistakes are told with their places in the
  // experiment or in the CSV file. The experiment must outlive this.
  static Result<LearningCurves> load(const Experiment& experiment);
  // The same with this text in place of the file's.
  static Result<LearningCurves> parse(const Experiment& experiment, std::string csv);

  std::size_t rows() const { return lengths_.size(); }  // within the space
  std::size_t rows_in_file() const { return rows_in_file_; }
  int epochs() const;                       // of the longest curve
  bool repeats() const { return repeat_; }  // several trials may take the same row

  // The row nearest to the point among those that are not taken; of equals the first. Each parameter counts
  // with its squared difference, its range being 1 (logarithmic where the parameter is); a choice that
  // differs, or a parameter that only one of the two has, counts 1. nullopt: all are taken.
  std::optional<std::size_t> nearest(const Point& point, const std::vector<bool>& taken) const;

  int epochs_of(std::size_t row) const { return lengths_.at(row); }
  // One value an objective, in the user's direction, after `epoch` epochs, from 1 to epochs_of(row). NaN
  // where the training had diverged.
  std::vector<double> values(std::size_t row, int epoch) const;
  std::optional<double> epoch_seconds(std::size_t row) const;  // nullopt: the table has no costs

 private:
  friend class LearningCurvesReader;
  explicit LearningCurves(const Experiment& experiment) : experiment_(&experiment) {}

  const Experiment* experiment_;
  bool repeat_ = false;
  std::size_t rows_in_file_ = 0;
  std::size_t columns_ = 0;                       // of values, for each objective
  std::vector<std::optional<double>> positions_;  // row after row, one a parameter
  std::vector<int> lengths_;                      // epochs, by row
  std::vector<double> values_;   // row after row, objective after objective, epoch after epoch
  std::vector<double> seconds_;  // by row; empty: no costs
};

}  // namespace regatta

// Learning curves of many configurations, as a file of the benchmark's tables holds them: a row a
// configuration, its parameters and then a value for each epoch, beginning with the untrained network.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "experiment/space.h"

namespace regatta {

struct CurveTable {
  std::string name;  // of the file, without .csv
  // Numbers between the smallest and the largest of their column, logarithmic where the column's name is one
  // of a learning rate or the like; beta1 and beta2 stand as 1 - beta. Texts are choices.
  Space space;
  std::vector<Point> points;                // by row
  std::vector<std::vector<double>> curves;  // by row; [k - 1]: after k epochs, lower is better; NaN: diverged
  int max_epochs = 0;                       // R
  double best = 0;                          // the smallest value of the table, untrained networks included
  double median_final = 0;                  // of the values after R epochs, diverged ones left out
};

Result<CurveTable> read_curve_table(const std::string& path);

}  // namespace regatta

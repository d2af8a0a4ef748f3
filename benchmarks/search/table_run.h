// A multi-fidelity search whose trials are looked up in a table of learning curves, in virtual time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "benchmarks/search/curve_table.h"

namespace regatta {

struct TableOptions {
  std::string sampler;    // YAML: "random" or "{type: tpe, …}"
  std::string scheduler;  // YAML; where it takes max_epochs and names none, it is given the table's
  int workers = 1;        // crews that work side by side; one epoch takes each of them the same time
  int budget = 50;        // total cost in units of R epochs
};

// The lowest value reported so far by any trial, after each epoch of all trials together. A point that the
// search chooses stands for the nearest row (in the unit cube; choices that differ are 1 apart) that no trial
// has; with the sampler `random` a trial is given a row in random order, and its point. A NaN fails the
// trial. Pausing and resuming cost nothing.
Result<std::vector<double>> incumbents(const CurveTable& table, const TableOptions& options,
                                       std::uint64_t seed);

}  // namespace regatta

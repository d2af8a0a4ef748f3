// Simple regret of a sampler on a test function: the best value so far minus the optimum.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "benchmarks/search/functions.h"

namespace regatta {

struct RegretOptions {
  std::string sampler;  // YAML: "gp" or "{type: tpe, …}"
  int evaluations = 100;
  // Workers that ask when they are free. With one, evaluations follow each other; with more, each takes a
  // time drawn uniformly from 0.5 to 1.5.
  int workers = 1;
};

// After each evaluation, in the order in which they end.
Result<std::vector<double>> regret_curve(const TestFunction& function, const RegretOptions& options,
                                         std::uint64_t seed);

}  // namespace regatta

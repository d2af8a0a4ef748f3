// The studies that search.learn_from names, read from disk.
#pragma once

#include <vector>

#include "base/result.h"
#include "experiment/experiment.h"
#include "search/search.h"

namespace regatta {

// A study is named by its folder or its study.db, relative to the experiment file or to the working folder,
// or by its name under runs/ here. Its trials are measured by this experiment's objectives: its reports must
// have their metrics, and no objective of its own may be one of them in the other direction. All that stands
// in the way is a mistake with the place of the name: no such study, one that cannot be read, no trial that
// has ended with a value, none that lies in this space.
Result<std::vector<EarlierStudy>> read_earlier_studies(const Experiment& experiment,
                                                       const std::vector<LearnFrom>& names);

}  // namespace regatta

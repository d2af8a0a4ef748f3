// The `search:` section: which sampler and scheduler, and when the study ends.
#pragma once

#include <optional>
#include <vector>

#include "experiment/experiment.h"
#include "search/sampler.h"
#include "search/scheduler.h"

namespace regatta {

struct StopRule {
  std::optional<int> trials;  // a total over the study's whole life; invalid trials do not count
  std::optional<double> hours;
  std::optional<double> target;  // in the user's direction: reached when the objective is as good
};

struct SearchConfig {
  Typed sampler;
  Typed scheduler;
  StopRule stop;
  std::vector<EarlierStudy> earlier;  // what search.learn_from names, once it has been read
};

// What the samplers and schedulers of this study are made from; refers to the experiment.
SearchContext search_context(const Experiment& experiment, const SearchConfig& config);

// Falls back to {sampler: auto, scheduler: fifo}. A study that would never end (no stop rule, no natural
// end) is the user's mistake.
Result<SearchConfig> read_search(const Experiment& experiment);

}  // namespace regatta

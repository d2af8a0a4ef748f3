// The `search:` section: which sampler and scheduler, and when the study ends.
#pragma once

#include <optional>
#include <string>
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

// One study that search.learn_from names.
struct LearnFrom {
  std::string study;  // as the user wrote it
  Place place;
};

struct SearchConfig {
  Typed sampler;
  Typed scheduler;
  StopRule stop;
  std::vector<Point> known;  // search.try
  std::vector<LearnFrom> learn_from;
  std::vector<EarlierStudy> earlier;  // what search.learn_from names, once it has been read
};

// What the samplers and schedulers of this study are made from; refers to the experiment.
SearchContext search_context(const Experiment& experiment, const SearchConfig& config);

// Falls back to {sampler: auto, scheduler: fifo}. A study that would never end (no stop rule, no natural
// end) is the user's mistake.
Result<SearchConfig> read_search(const Experiment& experiment);

}  // namespace regatta

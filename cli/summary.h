// The end of a study in words: its best trials, the test metrics, where everything is.
#pragma once

#include <filesystem>
#include <string>

#include "coordinator/study.h"

namespace regatta {

// Several lines, each ended. `elapsed_seconds`: of the whole study, over all its sessions.
std::string summarize(const Study& study, const std::filesystem::path& folder, double elapsed_seconds);

// The Pareto front with every objective, epochs and parameters; at most `count` of it, and how many more.
std::string pareto_front_table(const Study& study, std::size_t count);

// The best trials with value, epochs and parameters, the best first; empty when none has a value.
std::string best_trials_table(const Study& study, std::size_t count);

// "finished", "reached its target", …, and what went wrong: why it failed, why there is no model.
std::string describe_end(const StudyEnded& end);

}  // namespace regatta

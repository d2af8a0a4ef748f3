// A study's trials as the search would see them if it had other objectives.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "coordinator/study.h"

namespace regatta {

// Scores and values anew from the reports, lower is better. Reports without one of the metrics, or where one
// is not finite, are left out.
std::vector<Trial> trials_measured_by(const Study& study, std::span<const Objective> objectives);

// Every metric that a report names, each once.
std::vector<std::string> reported_metrics(const Study& study);

}  // namespace regatta

// Whether a study's crews may be reshaped, and how far.
#pragma once

#include <optional>

#include "cli/study_plan.h"
#include "coordinator/elastic.h"

namespace regatta {

// nullopt: each crew stays as it is. That is so where the file says `elastic: false`, and where
// a crew's ranks do not share one trial's batches: programs, tables, several lanes. The plan must
// outlive what is returned.
std::optional<ElasticOptions> elastic_options(const StudyPlan& plan);

}  // namespace regatta

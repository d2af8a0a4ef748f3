// `lanes: auto`: how many trials a crew trains at once, by the memory of its ranks' cards.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "collectives/communicator.h"
#include "experiment/experiment.h"
#include "worker/workbench.h"

namespace regatta {

inline constexpr int kMostLanesThatFit = 128;  // more gain nothing: the card is busy with fewer

// What one lane and two took tells what each further one will take. A tenth of the memory stays free for what
// libraries take later.
int lanes_for_memory(std::uint64_t free_bytes, std::uint64_t bytes_of_one, std::uint64_t bytes_of_two);

// All ranks get the smallest of their numbers. Makes the engine of a large network of the space (whole
// numbers, and choices of numbers, at their upper ends) with one lane and with two, measures, and tries the
// number that comes of it. 1 on CPUs, for a program, and where that network cannot be trained. `options`: of
// the workbench to come.
Result<int> lanes_that_fit(Communicator& communicator, const Experiment& experiment, const Clock& clock,
                           const WorkbenchOptions& options);

}  // namespace regatta

// First in, first out: every trial trains to the end.
#pragma once

#include <memory>

#include "search/scheduler.h"

namespace regatta {

// {type: fifo, max_epochs: N}; without max_epochs each trial decides itself when it is done.
Result<std::unique_ptr<Scheduler>> make_fifo(const Typed& config, const SearchContext& context);

}  // namespace regatta

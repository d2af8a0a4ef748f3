// How the ranks of a crew come to the same view of what only some of them know.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "collectives/communicator.h"

namespace regatta {

// Called by all ranks after something that may fail on some of them; it may take a rank as long as files do
// (kFileLimit). The first failing rank's sentence on
// every rank, or nullopt when all are fine. An error means that the crew itself is broken.
Result<std::optional<std::string>> first_failure(Communicator& communicator, const Status& mine);

// The leader's text on every rank. `text` is ignored elsewhere. The options are for the wait until the leader
// has it.
Result<std::string> broadcast_text(Communicator& communicator, const std::string& text,
                                   const CollectiveOptions& options = {});

}  // namespace regatta

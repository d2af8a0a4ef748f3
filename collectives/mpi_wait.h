// Inside collectives/ only: waiting for MPI with a limit. MPI's blocking calls wait forever for a dead peer;
// a non-blocking one can be polled, and given up. What was given up cannot be taken back: MPI keeps the
// buffers, so the communicator is broken from then on and makes no further MPI call.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "collectives/operation_log.h"

namespace regatta {

// MPI counts are ints: longer buffers go in chunks of this many elements.
inline constexpr std::size_t kLargestMpiCount = std::numeric_limits<int>::max();

std::string mpi_error_text(int code);

// Whether all have ended: false when the limit has passed. Fails through the log.
Result<bool> wait_for_mpi(std::vector<MPI_Request>& requests, const Operation& operation, OperationLog& log);

}  // namespace regatta

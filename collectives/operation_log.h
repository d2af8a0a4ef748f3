// Inside collectives/ only: what a communicator says about its operations. They are numbered alike on all
// ranks, and the first one that fails breaks the communicator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "collectives/communicator.h"

namespace regatta {

struct Operation {
  std::string_view name;
  std::uint64_t number = 0;
  std::size_t bytes = 0;
  Microseconds timeout{0};
  Deadline deadline;
};

// Parts of one communicator share a log.
class OperationLog {
 public:
  OperationLog(int rank, int size) : rank_(rank), size_(size) {}

  Result<Operation> begin(std::string_view name, std::size_t bytes, const CollectiveOptions& options);
  // No operation starts after these; the message names rank, operation, number and bytes.
  Error fail(const Operation& operation, std::string_view why);
  // `missing`: who did not come, in words.
  Error time_out(const Operation& operation, std::string_view missing);

 private:
  Error break_with(const Operation& operation, Error::Kind kind, const std::string& why);

  int rank_;
  int size_;
  std::uint64_t number_ = 0;  // of the last operation, from 1
  std::string first_error_;   // not empty: broken
  SystemClock clock_;
};

// Whether an operation of any communicator of this process has failed: MPI may then still be writing to the
// operation's buffers, and MPI_Finalize may hang.
bool any_operation_failed();

}  // namespace regatta

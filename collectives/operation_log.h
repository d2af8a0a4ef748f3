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

// Whether this process may still call what MPI gives no limit: to free windows and communicators, and to
// finalize. Not after the first operation of any communicator that failed, nor after give_up_mpi(): a peer
// may be gone, and MPI would wait for it, or may still be writing to the operation's buffers.
bool mpi_is_usable();
void give_up_mpi();

}  // namespace regatta

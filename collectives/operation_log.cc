// Numbers, and the sentences of failures.
#include "collectives/operation_log.h"

#include <fmt/format.h>
#include <mpi.h>

#include <atomic>

namespace regatta {
namespace {

std::atomic<bool> given_up{false};

}  // namespace

bool mpi_is_usable() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  return finalized == 0 && !given_up;
}

void give_up_mpi() { given_up = true; }

Result<Operation> OperationLog::begin(std::string_view name, std::size_t bytes,
                                      const CollectiveOptions& options) {
  ++number_;
  if (!first_error_.empty()) {
    return failure(fmt::format("rank {} of {}: {} #{} cannot start after an earlier error: {}", rank_, size_,
                               name, number_, first_error_));
  }
  return Operation{name, number_, bytes, options.timeout, Deadline(clock_, options.timeout)};
}

Error OperationLog::fail(const Operation& operation, std::string_view why) {
  return break_with(operation, Error::Kind::failure, fmt::format("failed: {}", why));
}

Error OperationLog::time_out(const Operation& operation, std::string_view missing) {
  const std::chrono::duration<double> seconds = operation.timeout;
  return break_with(operation, Error::Kind::timeout,
                    fmt::format("did not end within {} s: {}", seconds.count(), missing));
}

Error OperationLog::break_with(const Operation& operation, Error::Kind kind, const std::string& why) {
  give_up_mpi();
  first_error_ = fmt::format("rank {} of {}: {} #{} of {} bytes {}", rank_, size_, operation.name,
                             operation.number, operation.bytes, why);
  return {kind, first_error_};
}

}  // namespace regatta

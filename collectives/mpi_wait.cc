// Polls, yields, and sleeps in the end.
#include "collectives/mpi_wait.h"

#include <fmt/format.h>

#include "collectives/backoff.h"

namespace regatta {
namespace {

// A short operation ends while we spin. After that others may need this core: on an oversubscribed machine
// they are the very ranks that are waited for. MPI moves a long message piece by piece and only inside our
// polls, so that sleeping too early stretches it several times; some 10 ms of yielding cover 16 MB.
constexpr BackoffOptions kBackoff{.looks = 100, .yields = 20'000, .sleep = Microseconds(30)};

}  // namespace

std::string mpi_error_text(int code) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) {
    return fmt::format("MPI error {}", code);
  }
  return {text, static_cast<std::size_t>(length)};
}

Result<bool> wait_for_mpi(std::vector<MPI_Request>& requests, const Operation& operation, OperationLog& log) {
  Backoff backoff(kBackoff);
  while (true) {
    int done = 0;
    const int code =
        MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS) {
      return log.fail(operation, mpi_error_text(code));
    }
    if (done != 0) {
      return true;
    }
    if (operation.deadline.passed()) {
      return false;
    }
    backoff.pause();
  }
}

}  // namespace regatta

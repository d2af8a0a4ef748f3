// Collectives with a limit. MPI's blocking calls wait forever for a dead peer; a non-blocking one can be
// polled, and given up. What was given up cannot be taken back: MPI keeps the buffers, so the communicator is
// broken from then on and makes no further MPI call.
#include "collectives/mpi_collectives.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>

namespace regatta {
namespace {

std::atomic<bool> any_communicator_broken{false};

std::string mpi_error_text(int code) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) {
    return fmt::format("MPI error {}", code);
  }
  return {text, static_cast<std::size_t>(length)};
}

// A short operation ends while we spin. After that others may need this core: on an oversubscribed machine
// they are the very ranks that are waited for. MPI moves a long message piece by piece and only inside our
// polls, so that sleeping too early stretches it several times; some 10 ms of yielding cover 16 MB.
class Backoff {
 public:
  void pause() {
    ++pauses_;
    if (pauses_ > kSpins + kYields) {
      std::this_thread::sleep_for(kSleep);
    } else if (pauses_ > kSpins) {
      std::this_thread::yield();
    }
  }

 private:
  static constexpr int kSpins = 100;
  static constexpr int kYields = 20'000;
  static constexpr Microseconds kSleep{30};
  int pauses_ = 0;
};

}  // namespace

struct MpiCommunicator::Operation {
  std::string_view name;
  std::size_t bytes;
  Microseconds timeout;
};

MpiCommunicator::MpiCommunicator(MPI_Comm communicator, bool owns, std::size_t largest_count)
    : communicator_(communicator), owns_(owns), largest_count_(largest_count) {
  CHECK(largest_count_ > 0 && largest_count_ <= kLargestMpiCount);
  MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(communicator_, &rank_);
  MPI_Comm_size(communicator_, &size_);
}

MpiCommunicator::~MpiCommunicator() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (owns_ && finalized == 0 && !any_broken()) {
    MPI_Comm_free(&communicator_);
  }
}

bool MpiCommunicator::any_broken() { return any_communicator_broken; }
void MpiCommunicator::mark_broken() { any_communicator_broken = true; }

Error MpiCommunicator::broken_by(const Operation& operation, Error::Kind kind, std::string_view why) {
  mark_broken();
  first_error_ = fmt::format("rank {} of {}: {} #{} of {} bytes {}", rank_, size_, operation.name, sequence_,
                             operation.bytes, why);
  return {kind, first_error_};
}

Status MpiCommunicator::wait(const Operation& operation, const Deadline& deadline) {
  Backoff backoff;
  while (true) {
    int done = 0;
    const int code =
        MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS) {
      return broken_by(operation, Error::Kind::failure, fmt::format("failed: {}", mpi_error_text(code)));
    }
    if (done != 0) {
      return {};
    }
    if (deadline.passed()) {
      const std::chrono::duration<double> seconds = operation.timeout;
      return broken_by(
          operation, Error::Kind::timeout,
          fmt::format("did not end within {} s: another rank is dead, stuck or did not take part",
                      seconds.count()));
    }
    backoff.pause();
  }
}

Status MpiCommunicator::run(std::string_view name, std::size_t elements, std::size_t element_bytes,
                            const CollectiveOptions& options, const StartPart& start) {
  ++sequence_;
  const Operation operation{name, elements * element_bytes, options.timeout};
  if (!first_error_.empty()) {
    return failure(fmt::format("rank {} of {}: {} #{} cannot start after an earlier error: {}", rank_, size_,
                               name, sequence_, first_error_));
  }
  const Deadline deadline(clock_, options.timeout);
  // An operation without elements still has its one part: a barrier is one.
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(elements - begin, largest_count_);
    requests_.clear();
    if (const int code = start(begin, static_cast<int>(count), requests_); code != MPI_SUCCESS) {
      return broken_by(operation, Error::Kind::failure, fmt::format("failed: {}", mpi_error_text(code)));
    }
    RETURN_IF_ERROR(wait(operation, deadline));
    begin += count;
  } while (begin < elements);
  return {};
}

// In place, Open MPI sums along a binomial tree towards rank 0 and broadcasts the sum: every rank gets the
// same bits, and a run repeats them.
template <class T>
Status MpiCommunicator::allreduce_as(MPI_Datatype type, std::span<T> data, const CollectiveOptions& options) {
  return run("allreduce", data.size(), sizeof(T), options,
             [&](std::size_t begin, int count, std::vector<MPI_Request>& requests) {
               return MPI_Iallreduce(MPI_IN_PLACE, data.data() + begin, count, type, MPI_SUM, communicator_,
                                     &requests.emplace_back());
             });
}

Status MpiCommunicator::allreduce(std::span<float> data, const CollectiveOptions& options) {
  return allreduce_as(MPI_FLOAT, data, options);
}

Status MpiCommunicator::allreduce(std::span<double> data, const CollectiveOptions& options) {
  return allreduce_as(MPI_DOUBLE, data, options);
}

Status MpiCommunicator::broadcast(std::span<std::byte> data, int root, const CollectiveOptions& options) {
  CHECK(root >= 0 && root < size_, "the root is not a rank of this crew");
  return run("broadcast", data.size(), 1, options,
             [&](std::size_t begin, int count, std::vector<MPI_Request>& requests) {
               return MPI_Ibcast(data.data() + begin, count, MPI_BYTE, root, communicator_,
                                 &requests.emplace_back());
             });
}

Status MpiCommunicator::allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                                  const CollectiveOptions& options) {
  CHECK(gathered.size() == mine.size() * static_cast<std::size_t>(size_));
  return run("allgather", mine.size(), 1, options,
             [&](std::size_t begin, int count, std::vector<MPI_Request>& requests) {
               // `count` bytes that stand one whole `mine` apart: rank r's part lands in rank r's place even
               // when `mine` goes in several parts.
               MPI_Datatype bytes = MPI_DATATYPE_NULL;
               MPI_Datatype strided = MPI_DATATYPE_NULL;
               MPI_Type_contiguous(count, MPI_BYTE, &bytes);
               MPI_Type_create_resized(bytes, 0, static_cast<MPI_Aint>(mine.size()), &strided);
               MPI_Type_commit(&strided);
               const int code = MPI_Iallgather(mine.data() + begin, count, MPI_BYTE, gathered.data() + begin,
                                               1, strided, communicator_, &requests.emplace_back());
               MPI_Type_free(&bytes);  // the pending operation keeps what it needs
               MPI_Type_free(&strided);
               return code;
             });
}

// One reduction a rank, all under way at once, each with its own root: this shares the work among the ranks,
// where Open MPI's MPI_Ireduce_scatter would sum everything on rank 0 first.
Status MpiCommunicator::reduce_scatter(std::span<const float> data, std::span<float> slice,
                                       const CollectiveOptions& options) {
  CHECK(data.size() == slice.size() * static_cast<std::size_t>(size_));
  return run("reduce_scatter", slice.size(), sizeof(float) * static_cast<std::size_t>(size_), options,
             [&](std::size_t begin, int count, std::vector<MPI_Request>& requests) {
               for (int root = 0; root < size_; ++root) {
                 const float* part = data.data() + static_cast<std::size_t>(root) * slice.size() + begin;
                 const int code = MPI_Ireduce(part, slice.data() + begin, count, MPI_FLOAT, MPI_SUM, root,
                                              communicator_, &requests.emplace_back());
                 if (code != MPI_SUCCESS) {
                   return code;
                 }
               }
               return MPI_SUCCESS;
             });
}

Status MpiCommunicator::barrier(const CollectiveOptions& options) {
  return run("barrier", 0, 1, options, [&](std::size_t, int, std::vector<MPI_Request>& requests) {
    return MPI_Ibarrier(communicator_, &requests.emplace_back());
  });
}

}  // namespace regatta

// Collectives over non-blocking MPI calls that are given up when their limit has passed.
#include "collectives/mpi_collectives.h"

#include <algorithm>

#include "collectives/mpi_wait.h"

namespace regatta {

MpiCommunicator::MpiCommunicator(MPI_Comm communicator, std::shared_ptr<OperationLog> log,
                                 std::size_t largest_count)
    : communicator_(communicator), log_(std::move(log)), largest_count_(largest_count) {
  CHECK(largest_count_ > 0 && largest_count_ <= kLargestMpiCount);
  MPI_Comm_rank(communicator_, &rank_);
  MPI_Comm_size(communicator_, &size_);
  if (log_ == nullptr) {
    log_ = std::make_shared<OperationLog>(rank_, size_);
  }
}

MpiCommunicator::~MpiCommunicator() {
  if (mpi_is_usable()) {
    MPI_Comm_free(&communicator_);
  }
}

Status MpiCommunicator::run(std::string_view name, std::size_t elements, std::size_t element_bytes,
                            const CollectiveOptions& options, const StartPart& start) {
  ASSIGN_OR_RETURN(const Operation operation, log_->begin(name, elements * element_bytes, options));
  // An operation without elements still has its one part: a barrier is one.
  std::size_t begin = 0;
  do {
    const std::size_t count = std::min(elements - begin, largest_count_);
    requests_.clear();
    if (const int code = start(begin, static_cast<int>(count), requests_); code != MPI_SUCCESS) {
      return log_->fail(operation, mpi_error_text(code));
    }
    ASSIGN_OR_RETURN(const bool ended, wait_for_mpi(requests_, operation, *log_));
    if (!ended) {
      return log_->time_out(operation, "another rank is dead, stuck or did not take part");
    }
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

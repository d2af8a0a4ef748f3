// Inside collectives/ and its tests only: collectives that go through MPI alone.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "collectives/communicator.h"
#include "collectives/mpi_wait.h"
#include "collectives/operation_log.h"

namespace regatta {

// A communicator over non-blocking MPI collectives, which it polls until they end or the limit has passed.
class MpiCommunicator final : public Communicator {
 public:
  // Frees `communicator` at its end. `log`: of a communicator that this is a part of, or none.
  // `largest_count` is less than kLargestMpiCount in tests.
  explicit MpiCommunicator(MPI_Comm communicator, std::shared_ptr<OperationLog> log = nullptr,
                           std::size_t largest_count = kLargestMpiCount);
  ~MpiCommunicator() override;
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  Status allreduce(std::span<float> data, const CollectiveOptions& options) override;
  Status allreduce(std::span<double> data, const CollectiveOptions& options) override;
  Status broadcast(std::span<std::byte> data, int root, const CollectiveOptions& options) override;
  Status allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                   const CollectiveOptions& options) override;
  Status reduce_scatter(std::span<const float> data, std::span<float> slice,
                        const CollectiveOptions& options) override;
  Status barrier(const CollectiveOptions& options) override;

 private:
  // Starts the part [begin, begin + count) of an operation; adds its requests and returns an MPI error code.
  using StartPart = std::function<int(std::size_t begin, int count, std::vector<MPI_Request>& requests)>;

  Status run(std::string_view name, std::size_t elements, std::size_t element_bytes,
             const CollectiveOptions& options, const StartPart& start);
  template <class T>
  Status allreduce_as(MPI_Datatype type, std::span<T> data, const CollectiveOptions& options);

  MPI_Comm communicator_;
  std::shared_ptr<OperationLog> log_;
  std::size_t largest_count_;
  int rank_ = 0;
  int size_ = 1;
  std::vector<MPI_Request> requests_;
};

// Slurm and others can start many processes that MPI takes for as many worlds of one. `mpi_size` is what MPI
// says; the environment says what was started.
Status check_world_size(int mpi_size);

}  // namespace regatta

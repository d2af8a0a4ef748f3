// Inside collectives/ and its tests only: the MPI communicator itself, for which <mpi.h> is needed.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collectives/communicator.h"

namespace regatta {

// MPI counts are ints: longer buffers go in chunks of this many elements.
inline constexpr std::size_t kLargestMpiCount = std::numeric_limits<int>::max();

// A communicator over non-blocking MPI collectives, which it polls until they end or the limit has passed.
class MpiCommunicator final : public Communicator {
 public:
  // Frees `communicator` at its end if it `owns` it. `largest_count` is less than kLargestMpiCount in tests.
  MpiCommunicator(MPI_Comm communicator, bool owns, std::size_t largest_count = kLargestMpiCount);
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

  // Whether an operation of any communicator of this process has failed: MPI may then still be writing to
  // the operation's buffers, and MPI_Finalize may hang.
  static bool any_broken();
  static void mark_broken();

 private:
  struct Operation;
  // Starts the part [begin, begin + count) of an operation; adds its requests and returns an MPI error code.
  using StartPart = std::function<int(std::size_t begin, int count, std::vector<MPI_Request>& requests)>;

  Status run(std::string_view name, std::size_t elements, std::size_t element_bytes,
             const CollectiveOptions& options, const StartPart& start);
  Status wait(const Operation& operation, const Deadline& deadline);
  Error broken_by(const Operation& operation, Error::Kind kind, std::string_view why);
  template <class T>
  Status allreduce_as(MPI_Datatype type, std::span<T> data, const CollectiveOptions& options);

  MPI_Comm communicator_;
  bool owns_;
  std::size_t largest_count_;
  int rank_ = 0;
  int size_ = 1;
  std::uint64_t sequence_ = 0;  // of the last operation, from 1; the same on all ranks
  std::vector<MPI_Request> requests_;
  std::string first_error_;  // not empty: broken
  SystemClock clock_;
};

// Slurm and others can start many processes that MPI takes for as many worlds of one. `mpi_size` is what MPI
// says; the environment says what was started.
Status check_world_size(int mpi_size);

}  // namespace regatta

// Inside collectives/ only: collectives of ranks that are all on one host.
#pragma once

#include <memory>

#include "collectives/host_ranks.h"

namespace regatta {

class SharedMemoryCommunicator final : public Communicator {
 public:
  // All ranks of `host`, as HostRanks::make.
  static std::unique_ptr<Communicator> make(MPI_Comm host, Microseconds free_limit);

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  Result<std::unique_ptr<FloatMemory>> allocate(std::size_t floats, int rows) override;
  Status allreduce(std::span<float> data, const CollectiveOptions& options) override;
  Status allreduce(std::span<double> data, const CollectiveOptions& options) override;
  Status sum_shares(std::span<float> data, const ShareFunction& use,
                    const CollectiveOptions& options) override;
  Status settle(const CollectiveOptions& options) override;
  Status broadcast(std::span<std::byte> data, int root, const CollectiveOptions& options) override;
  Status allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                   const CollectiveOptions& options) override;
  Status reduce_scatter(std::span<const float> data, std::span<float> slice,
                        const CollectiveOptions& options) override;
  Status barrier(const CollectiveOptions& options) override;

 private:
  SharedMemoryCommunicator(int rank, int size) : log_(rank, size) {}
  template <class T>
  Status allreduce_through_slots(std::span<T> data, const Operation& operation);

  OperationLog log_;
  std::unique_ptr<HostRanks> host_;
};

}  // namespace regatta

// Inside collectives/ only: collectives of ranks on several hosts. Gradients are summed within each host in
// shared memory and then, share by share, across the hosts; everything else goes through MPI.
#pragma once

#include <mpi.h>

#include <memory>
#include <vector>

#include "collectives/across_hosts.h"
#include "collectives/host_ranks.h"
#include "collectives/mpi_collectives.h"

namespace regatta {

class TwoLevelCommunicator final : public Communicator {
 public:
  // All ranks of `crew`, which becomes its own. Ranks with the same `host` must share memory. nullptr, on all
  // ranks, where a system has no room for that; then `crew` stays the caller's.
  static std::unique_ptr<Communicator> make(MPI_Comm crew, int host, Microseconds free_limit);

  int rank() const override { return messages_->rank(); }
  int size() const override { return messages_->size(); }
  int host_size() const override { return host_->size(); }
  Result<std::unique_ptr<FloatMemory>> allocate(std::size_t floats, int rows) override;
  Status allreduce(std::span<float> data, const CollectiveOptions& options) override;
  Status allreduce(std::span<double> data, const CollectiveOptions& options) override {
    return messages_->allreduce(data, options);
  }
  Status sum_shares(std::span<float> data, const ShareFunction& use,
                    const CollectiveOptions& options) override;
  Status settle(const CollectiveOptions& options) override;
  Status broadcast(std::span<std::byte> data, int root, const CollectiveOptions& options) override {
    return messages_->broadcast(data, root, options);
  }
  Status allgather(std::span<const std::byte> mine, std::span<std::byte> gathered,
                   const CollectiveOptions& options) override {
    return messages_->allgather(mine, gathered, options);
  }
  Status reduce_scatter(std::span<const float> data, std::span<float> slice,
                        const CollectiveOptions& options) override {
    return messages_->reduce_scatter(data, slice, options);
  }
  Status barrier(const CollectiveOptions& options) override { return messages_->barrier(options); }

 private:
  TwoLevelCommunicator() = default;
  Status sum_own_shares(const HostRanks::Place& place, std::span<float> data, const ShareFunction& use,
                        const CollectiveOptions& options, const Operation& operation);

  MPI_Comm crew_ = MPI_COMM_NULL;  // of messages_
  std::shared_ptr<OperationLog> log_;
  std::unique_ptr<HostRanks> host_;
  // The ranks in the same place on each host. On a host with more ranks than the smallest has, the last ones
  // take no share and have none.
  std::unique_ptr<AcrossHosts> across_;
  int sharers_ = 1;                            // ranks of each host that take a share
  std::unique_ptr<MpiCommunicator> messages_;  // declared last: it frees crew_
  std::vector<float> packed_;                  // this rank's share of what is being summed
};

}  // namespace regatta

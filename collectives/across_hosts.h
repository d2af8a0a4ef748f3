// Inside collectives/ only: sums over one rank of each host, by messages.
#pragma once

#include <mpi.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "collectives/operation_log.h"
#include "collectives/wire.h"

namespace regatta {

class AcrossHosts {
 public:
  // All ranks of `hosts`, which is freed at the end. `names`: what errors call them.
  AcrossHosts(MPI_Comm hosts, std::vector<int> names, OperationLog& log);
  ~AcrossHosts();
  AcrossHosts(const AcrossHosts&) = delete;
  AcrossHosts& operator=(const AcrossHosts&) = delete;

  // Sums in place. Each term is rounded to the wire, the terms are added in fp32 in the order of the ranks,
  // and the sum is rounded to the wire: every rank gets the same bits, however the data are cut into calls.
  Status allreduce(std::span<float> data, Wire wire, const Operation& operation);

 private:
  // The part of `count` elements that rank `rank` sums up.
  std::span<float> part(std::span<float> data, int rank) const;
  Status allreduce_piece(std::span<float> data, Wire wire, const Operation& operation);
  Status send_parts(std::span<float> data, Wire wire, const Operation& operation);
  Status return_sums(std::span<float> data, Wire wire, const Operation& operation);
  // Starts receiving `bytes` from `peer` / sending `bytes` to it.
  Status receive(int peer, std::size_t bytes, const Operation& operation);
  Status send(int peer, const std::byte* data, std::size_t bytes, const Operation& operation);
  Status wait(const Operation& operation);
  std::byte* incoming(int peer) const { return buffers_->data() + slot(peer); }
  std::byte* outgoing(int peer) const { return buffers_->data() + slot(size_ + peer); }
  std::size_t slot(int index) const { return static_cast<std::size_t>(index) * part_bytes_; }

  MPI_Comm hosts_;
  std::vector<int> names_;
  OperationLog& log_;
  int rank_ = 0;
  int size_ = 1;
  std::size_t part_bytes_ = 0;                       // the largest part's
  std::unique_ptr<std::vector<std::byte>> buffers_;  // a part from each peer, then a part for each
  std::vector<MPI_Request> requests_;
};

}  // namespace regatta

// With n ranks, rank r sums up the r-th of n parts. First every rank sends to each other rank that one's part
// of its own data; then, having added up what it got, its sum to all. Each byte travels 2(n-1)/n times, as in
// a ring, but in two steps instead of 2(n-1); and the terms can be added in one order on all ranks.
#include "collectives/across_hosts.h"

#include <fmt/format.h>

#include <algorithm>

#include "collectives/mpi_wait.h"

namespace regatta {
namespace {

constexpr std::size_t kPiece = std::size_t{4} << 20;  // floats that are under way at a time
constexpr int kTag = 1;                               // messages between two ranks keep their order

}  // namespace

AcrossHosts::AcrossHosts(MPI_Comm hosts, std::vector<int> names, OperationLog& log)
    : hosts_(hosts),
      names_(std::move(names)),
      log_(log),
      buffers_(std::make_unique<std::vector<std::byte>>()) {
  MPI_Comm_set_errhandler(hosts_, MPI_ERRORS_RETURN);
  MPI_Comm_rank(hosts_, &rank_);
  MPI_Comm_size(hosts_, &size_);
  CHECK(names_.size() == static_cast<std::size_t>(size_));
  requests_.reserve(2 * static_cast<std::size_t>(size_));
}

AcrossHosts::~AcrossHosts() {
  if (mpi_is_usable()) {
    MPI_Comm_free(&hosts_);
  } else {
    (void)buffers_.release();  // MPI may still be writing to them
  }
}

Status AcrossHosts::allreduce(std::span<float> data, Wire wire, const Operation& operation) {
  if (size_ == 1) {
    return {};
  }
  const std::size_t largest_part = std::min(data.size(), kPiece) / static_cast<std::size_t>(size_) + 1;
  part_bytes_ = largest_part * wire_bytes(wire);
  buffers_->resize(std::max(buffers_->size(), slot(2 * size_)));  // grows with the first bucket only
  for (std::size_t begin = 0; begin < data.size(); begin += kPiece) {
    RETURN_IF_ERROR(
        allreduce_piece(data.subspan(begin, std::min(kPiece, data.size() - begin)), wire, operation));
  }
  return {};
}

std::span<float> AcrossHosts::part(std::span<float> data, int rank) const {
  const auto cut = [&](int r) {
    return data.size() * static_cast<std::size_t>(r) / static_cast<std::size_t>(size_);
  };
  return data.subspan(cut(rank), cut(rank + 1) - cut(rank));
}

Status AcrossHosts::allreduce_piece(std::span<float> data, Wire wire, const Operation& operation) {
  RETURN_IF_ERROR(send_parts(data, wire, operation));
  const std::span<float> mine = part(data, rank_);
  encode(wire, mine, incoming(rank_));
  decode(wire, incoming(0), mine);
  for (int peer = 1; peer < size_; ++peer) {
    add_decoded(wire, incoming(peer), mine);
  }
  return return_sums(data, wire, operation);
}

Status AcrossHosts::send_parts(std::span<float> data, Wire wire, const Operation& operation) {
  requests_.clear();
  const std::size_t mine_bytes = part(data, rank_).size() * wire_bytes(wire);
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank_) {
      RETURN_IF_ERROR(receive(peer, mine_bytes, operation));
    }
  }
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank_) {
      const std::span<float> theirs = part(data, peer);
      encode(wire, theirs, outgoing(peer));
      RETURN_IF_ERROR(send(peer, outgoing(peer), theirs.size() * wire_bytes(wire), operation));
    }
  }
  return wait(operation);
}

Status AcrossHosts::return_sums(std::span<float> data, Wire wire, const Operation& operation) {
  requests_.clear();
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank_) {
      RETURN_IF_ERROR(receive(peer, part(data, peer).size() * wire_bytes(wire), operation));
    }
  }
  const std::span<float> mine = part(data, rank_);
  encode(wire, mine, outgoing(rank_));
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank_) {
      RETURN_IF_ERROR(send(peer, outgoing(rank_), mine.size() * wire_bytes(wire), operation));
    }
  }
  decode(wire, outgoing(rank_), mine);  // rounded, as the others get it
  RETURN_IF_ERROR(wait(operation));
  for (int peer = 0; peer < size_; ++peer) {
    if (peer != rank_) {
      decode(wire, incoming(peer), part(data, peer));
    }
  }
  return {};
}

Status AcrossHosts::receive(int peer, std::size_t bytes, const Operation& operation) {
  const int code = MPI_Irecv(incoming(peer), static_cast<int>(bytes), MPI_BYTE, peer, kTag, hosts_,
                             &requests_.emplace_back(MPI_REQUEST_NULL));
  return code == MPI_SUCCESS ? Status() : Status(log_.fail(operation, mpi_error_text(code)));
}

Status AcrossHosts::send(int peer, const std::byte* data, std::size_t bytes, const Operation& operation) {
  const int code = MPI_Isend(data, static_cast<int>(bytes), MPI_BYTE, peer, kTag, hosts_,
                             &requests_.emplace_back(MPI_REQUEST_NULL));
  return code == MPI_SUCCESS ? Status() : Status(log_.fail(operation, mpi_error_text(code)));
}

// The first requests are those of receiving, from all peers in their order.
Status AcrossHosts::wait(const Operation& operation) {
  ASSIGN_OR_RETURN(const bool ended, wait_for_mpi(requests_, operation, log_));
  if (ended) {
    return {};
  }
  std::string missing;
  for (int peer = 0; peer < size_; ++peer) {
    if (peer == rank_) {
      continue;
    }
    int came = 0;
    MPI_Request_get_status(requests_[static_cast<std::size_t>(peer - (peer > rank_ ? 1 : 0))], &came,
                           MPI_STATUS_IGNORE);
    if (came == 0) {
      missing += fmt::format("{}{}", missing.empty() ? "" : ", ", names_[static_cast<std::size_t>(peer)]);
    }
  }
  return log_.time_out(operation, fmt::format("nothing came from rank {}, or from another on its host",
                                              missing.empty() ? "?" : missing));
}

}  // namespace regatta

// The gradients of a crew's ranks on their cards, summed by NCCL beside backward's further work.
#pragma once

#include <optional>

#include "collectives/cuda/nccl_communicator.h"
#include "models/cuda/exchange.h"
#include "models/cuda/runtime.h"

namespace regatta {

// All sums go through one stream of their own, in the order in which they are asked for, so that NCCL sees
// the same order on every rank; the engine's stream waits for those whose result it needs next.
class CardExchange final : public cuda::DeviceExchange {
 public:
  static Result<std::unique_ptr<CardExchange>> make(NcclCommunicator& communicator);

  Status sum(float* values, std::size_t count, cudaStream_t stream) override;
  Status ready(float* gradients, std::size_t floats, cudaStream_t stream) override;
  Status finish(cudaStream_t stream) override;
  Status begin_step(cudaStream_t stream) override;
  Status end_step(cudaStream_t stream) override;
  Status status() const override { return communicator_.status(); }

 private:
  explicit CardExchange(NcclCommunicator& communicator) : communicator_(communicator) {}
  Status send(std::size_t until, cudaStream_t stream);
  Status follow(cudaStream_t waiting, cudaStream_t on);

  NcclCommunicator& communicator_;
  cuda::Stream stream_;
  cuda::Event event_;
  float* gradients_ = nullptr;
  std::size_t sent_ = 0;  // floats of this step
  std::size_t ready_ = 0;
};

}  // namespace regatta

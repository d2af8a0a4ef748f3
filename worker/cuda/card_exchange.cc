// Buckets: what is final goes as soon as there is enough of it.
#include "worker/cuda/card_exchange.h"

namespace regatta {
namespace {

// Below it a sum costs as much for less: NCCL needs some tens of microseconds for the first byte.
constexpr std::size_t kBucketFloats = (8U << 20) / sizeof(float);

}  // namespace

Result<std::unique_ptr<CardExchange>> CardExchange::make(NcclCommunicator& communicator) {
  auto exchange = std::unique_ptr<CardExchange>(new CardExchange(communicator));
  ASSIGN_OR_RETURN(exchange->stream_, cuda::Stream::create());
  ASSIGN_OR_RETURN(exchange->event_, cuda::Event::create());
  return exchange;
}

// `waiting` goes on when `on` has done what it was given so far.
Status CardExchange::follow(cudaStream_t waiting, cudaStream_t on) {
  RETURN_IF_ERROR(cuda::check(cudaEventRecord(event_.get(), on), "marking a stream"));
  return cuda::check(cudaStreamWaitEvent(waiting, event_.get()), "joining streams");
}

Status CardExchange::sum(float* values, std::size_t count, cudaStream_t stream) {
  RETURN_IF_ERROR(follow(stream_.get(), stream));
  RETURN_IF_ERROR(communicator_.allreduce(values, count, stream_.get()));
  return follow(stream, stream_.get());
}

Status CardExchange::send(std::size_t until, cudaStream_t stream) {
  RETURN_IF_ERROR(follow(stream_.get(), stream));
  RETURN_IF_ERROR(communicator_.allreduce(gradients_ + sent_, until - sent_, stream_.get()));
  sent_ = until;
  return {};
}

Status CardExchange::ready(float* gradients, std::size_t floats, cudaStream_t stream) {
  gradients_ = gradients;
  ready_ = floats;
  return ready_ - sent_ >= kBucketFloats ? send(ready_, stream) : Status();
}

Status CardExchange::finish(cudaStream_t stream) {
  if (ready_ > sent_) {
    RETURN_IF_ERROR(send(ready_, stream));
  }
  sent_ = 0;
  ready_ = 0;
  return follow(stream, stream_.get());
}

Status CardExchange::begin_step(cudaStream_t stream) {
  return communicator_.begin_step(stream, communicator_.captured());
}

Status CardExchange::end_step(cudaStream_t stream) { return communicator_.end_step(stream); }

}  // namespace regatta

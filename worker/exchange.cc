// The sizes of the buckets.
#include "worker/exchange.h"

namespace regatta {
namespace {

// DDP's defaults are 25 MiB and 1 MiB; a smaller bucket serves the small networks that are tuned most.
constexpr std::size_t kBucketBytes = std::size_t{8} << 20;
constexpr std::size_t kFirstBucketBytes = std::size_t{1} << 20;

}  // namespace

CrewExchange::CrewExchange(Communicator& communicator, std::span<float> gradients)
    : communicator_(communicator),
      reducer_(communicator, gradients, plan_buckets(gradients.size(), kBucketBytes, kFirstBucketBytes)) {}

}  // namespace regatta

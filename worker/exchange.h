// The engine's gradients, summed over a crew's ranks bucket by bucket.
#pragma once

#include <span>

#include "base/result.h"
#include "collectives/buckets.h"
#include "collectives/communicator.h"
#include "models/engine.h"

namespace regatta {

class CrewExchange final : public GradientExchange {
 public:
  CrewExchange(Communicator& communicator, std::span<float> gradients);
  Status ready(std::size_t floats) override { return reducer_.ready(floats); }
  Status finish() override { return reducer_.finish(); }
  Status sum(std::span<float> values) override { return communicator_.allreduce(values); }

 private:
  Communicator& communicator_;
  BucketReducer reducer_;
};

}  // namespace regatta

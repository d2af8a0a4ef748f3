// What a program is made of: operations that know one step's forward and backward work, and what a step
// brings.
#pragma once

#include <cstdint>
#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <vector>

#include "base/result.h"
#include "models/lane_trials.h"

namespace regatta {

enum class Phase { train, evaluate };

struct Step {
  dnnl::stream stream;
  int threads = 1;
  BatchView batch;
  std::span<const LaneRun> lanes;
  GradientExchange* exchange = nullptr;
  std::span<MetricSums> sums;  // one a lane

  template <class Function>
  void for_active_lanes(const Function& function) const {
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
      if (lanes[lane].active) {
        function(static_cast<int>(lane));
      }
    }
  }
};

// The constructor of an operation plans its forward work. All lanes are served by each call; what one lane
// computes is never read by another. Only an exchange over the ranks can fail; oneDNN throws.
class Operation {
 public:
  virtual ~Operation() = default;
  // In the reverse order of forward: takes the output's gradient from the planner and leaves the input's
  // there.
  virtual void plan_backward(class Planner& planner) = 0;
  virtual Status forward(const Step& step) = 0;
  virtual Status backward(const Step& step) = 0;
};

}  // namespace regatta

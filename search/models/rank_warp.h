// Losses made fit for a Gaussian process by their ranks: outliers of any size do no harm, and small
// differences among many count.
#pragma once

#include <span>
#include <vector>

namespace regatta {

struct CurveValue {
  int curve = 0;
  double value = 0;  // infinite for a failure
};

// One monotone map for all values, whatever epochs they are of, so that a curve stays a curve: the quantile
// of the normal distribution at a value's rank, mixed with the value's place between the least and the
// median, so that how far ahead the best are is not forgotten. A curve's n values have the weight √n
// together. The mean is 0. Ties map alike.
std::vector<double> rank_warp(std::span<const CurveValue> values);

}  // namespace regatta

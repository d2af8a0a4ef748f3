// Mean and squared deviations of many values in one pass, without losing digits where the mean is large:
// moments of parts are joined as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
// computing sample variances", 1979. For kernels only.
#pragma once

#include <cuda_runtime.h>

namespace regatta::cuda {

// Of no value: {}.
template <class Value>
struct Moments {
  Value mean;
  Value squares;  // Σ (x - mean)²
};

// How `count` values join those of `others`: what is the same for all columns.
template <class Value>
struct Joint {
  Value share;   // of the others
  Value weight;  // of the squared distance of the means

  __device__ Joint(Value count, Value others)
      : share(others > 0 ? others / (count + others) : Value(0)), weight(count * share) {}
};

template <class Value>
__device__ __forceinline__ void join(const Joint<Value>& joint, const Moments<Value>& others,
                                     Moments<Value>& moments) {
  const Value distance = others.mean - moments.mean;
  moments.mean += distance * joint.share;
  moments.squares += others.squares + distance * distance * joint.weight;
}

}  // namespace regatta::cuda

// The places of a step's tokens sorted by token, and in their own order where tokens are equal. So the
// gradients of a table's rows are summed in the same order in every run.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "models/cuda/operation.h"
#include "models/cuda/planner.h"

namespace regatta::cuda {

// Rows of whole numbers; place i is position i mod T of row i / T.
struct Tokens {
  const float* numbers = nullptr;
  std::int64_t count = 0;       // rows · positions
  std::int64_t positions = 1;   // T
  std::int64_t row = 1;         // floats from one row to the next
  std::int64_t vocabulary = 1;  // tokens are below it
};

class TokenOrder {
 public:
  // Memory for the operation being planned.
  TokenOrder(Planner& planner, std::int64_t count, std::int64_t vocabulary);
  // `tokens`: as many, of that vocabulary. Numbers that are no tokens have no place in the order.
  void enqueue(const Step& step, const Tokens& tokens) const;

  // Where its memory is to last from the operation being planned to the step's end.
  void use_to_the_end(Planner& planner) const;
  // Of the next step: zeros, which the kernel that takes the places leaves when it is done.
  struct Counts {
    std::int32_t* data = nullptr;
    std::int64_t size = 0;
  };
  Counts counts(const Step& step) const {
    return {reinterpret_cast<std::int32_t*>(step.counters + counts_), chunks_ * vocabulary_};
  }

  // The places of token v: sorted()[starts()[v]] to sorted()[starts()[v + 1] - 1].
  const std::int32_t* starts(const Step& step) const { return step.data<std::int32_t>(starts_); }
  const std::int32_t* sorted(const Step& step) const { return step.data<std::int32_t>(sorted_); }

 private:
  std::int64_t count_;
  std::int64_t vocabulary_;
  std::int64_t chunks_;
  std::int64_t counts_;  // [chunks][vocabulary], of the planner's counters
  Tensor ranks_;         // [count]: among the equal tokens of its chunk
  Tensor starts_;
  Tensor sorted_;
};

}  // namespace regatta::cuda

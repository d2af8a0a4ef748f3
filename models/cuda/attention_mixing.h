// What attention does between its two projections, in one of two ways.
#pragma once

#include <cstdint>
#include <memory>

#include "models/cuda/element_type.h"
#include "models/cuda/planner.h"

namespace regatta::cuda {

struct MixingShape {
  ElementType type = ElementType::f32;
  std::int64_t rows = 0;
  std::int64_t positions = 0;
  std::int64_t lanes = 1;
  std::int64_t heads = 1;
  std::int64_t size = 0;  // features of a head
  bool causal = false;

  std::int64_t features() const { return heads * size; }
};

// For each row, lane and head O = softmax(Q Kᵀ / √d) V, and back. Q, K and V stand side by side in
// `projected`, as their gradients do: [rows][positions][lanes][queries, keys, values][heads][size]; O in
// `mixed`, and so its gradient: [rows][positions][lanes][heads][size]. Planned and run as an operation is,
// and for one.
class HeadMixing {
 public:
  virtual ~HeadMixing() = default;
  virtual Status plan_forward(Planner& planner, const Tensor& projected, const Tensor& mixed) = 0;
  virtual Status plan_backward(Planner& planner, const Tensor& mixed_gradient,
                               const Tensor& projected_gradient) = 0;
  virtual Status forward(const Step& step) = 0;
  virtual Status backward(const Step& step) = 0;
};

// Scores in memory, by products and kernels of our own: for every precision and shape.
std::unique_ptr<HeadMixing> mix_by_products(MathMode math, const MixingShape& shape);
// One kernel, which keeps no scores; fails where there is none, or where the other way has fewer launches.
Result<std::unique_ptr<HeadMixing>> mix_fused(Planner& planner, const MixingShape& shape);

}  // namespace regatta::cuda

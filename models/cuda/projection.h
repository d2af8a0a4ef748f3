// What layers multiply with: products with their workspace, and y = x Wᵀ + b at every point.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "models/cuda/column_sums.h"
#include "models/cuda/matmul.h"
#include "models/cuda/operation.h"
#include "models/cuda/planner.h"

namespace regatta::cuda {

class Product {
 public:
  Status plan(Planner& planner, const MatmulShape& shape);  // for the operation being planned
  Status run(const Step& step, const void* a, const void* b, const void* bias, void* d) const;

 private:
  std::unique_ptr<Matmul> product_;
  Tensor workspace_;
};

// Of all lanes: x [points, lanes, inputs], y [points, lanes, outputs], W [lanes, outputs, inputs], b [lanes,
// outputs], x and y in the planner's type. From one point to the next, x and y have so many elements or more.
// Lanes that share x are one wide batch: `outputs` are then those of all lanes.
struct ProjectionShape {
  std::int64_t batches = 1;
  std::int64_t points = 0;
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  std::int64_t x_row = 0;
  std::int64_t y_row = 0;
};

class Projection {
 public:
  // By the parameters' names; `bias` may be empty. With a bias, y is dense.
  Projection(const Planner& planner, const std::string& weight, const std::string& bias,
             const ProjectionShape& shape);

  // `relu`: of y, where there is a bias.
  Status plan_forward(Planner& planner, bool relu = false);
  enum class InputGradient { needed, unneeded };
  Status plan_backward(Planner& planner, InputGradient input_gradient);

  Status forward(const Step& step, const void* x, void* y) const;
  // The parameters' gradients, and dx = dy W where it is needed.
  Status backward(const Step& step, const void* x, const void* dy, void* dx) const;

 private:
  ProjectionShape shape_;
  const void* weight_;
  float* weight_gradient_;
  const void* bias_ = nullptr;  // in the products' type
  const float* float_bias_ = nullptr;
  float* bias_gradient_ = nullptr;
  bool has_relu_ = false;
  bool adds_bias_ = false;  // by a kernel of its own, because the library has none that does it along
  ElementType type_ = ElementType::f32;
  bool needs_input_gradient_ = false;
  Product forward_;
  Product backward_weights_;
  Product backward_inputs_;
  std::optional<ColumnSums> column_sums_;
};

}  // namespace regatta::cuda

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
  void put_beside(Planner& planner);                        // it runs on the side branch then
  Status run(const Step& step, const MatmulMemory& memory) const;

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

// dW = dyᵀ x and db = the sums of dy over the points, which that product reads anyhow: a small one leaves
// them. A large one is taken to lose more by a slower kernel, of the few that do that, than the sums cost.
class WeightGradient {
 public:
  // `bias_gradient` may be null. For the operation being planned.
  Status plan(Planner& planner, const ProjectionShape& shape, float* weight_gradient, float* bias_gradient);
  // Where steps have a side branch and the product is small, it goes there; x and dy then stay to the end.
  void put_beside(Planner& planner, const Tensor& x, const Tensor& dy);
  Status run(const Step& step, const void* x, const void* dy) const;

 private:
  Status run_on(const Step& step, const void* x, const void* dy) const;

  std::int64_t written_ = 0;
  bool is_beside_ = false;
  float* weight_gradient_ = nullptr;
  float* bias_gradient_ = nullptr;
  Product product_;
  std::optional<ColumnSums> column_sums_;  // where no product leaves the sums
};

class Projection {
 public:
  // By the parameters' names; `bias` may be empty. With a bias, y is dense.
  Projection(const Planner& planner, const std::string& weight, const std::string& bias,
             const ProjectionShape& shape);

  // Of a bias that somebody else adds to y.
  void set_bias_gradient(float* gradient) { bias_gradient_ = gradient; }
  // `relu`: of y, where there is a bias.
  Status plan_forward(Planner& planner, bool relu = false);
  // Of y's relu; none where the library does not leave it along with the product, and in evaluation.
  const std::optional<ReluMask>& relu_mask() const { return relu_mask_; }
  // `input_mask`: of the relu that x comes from.
  enum class InputGradient { needed, unneeded };
  Status plan_backward(Planner& planner, InputGradient input_gradient,
                       const std::optional<ReluMask>& input_mask = {});
  // After that, where x and dy are whole tensors: see WeightGradient.
  void put_weights_beside(Planner& planner, const Tensor& x, const Tensor& dy) {
    backward_weights_.put_beside(planner, x, dy);
  }
  // Whether dx has passed the relu that x comes from.
  bool masks_input_gradient() const { return input_mask_.has_value(); }

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
  std::optional<ReluMask> relu_mask_;
  bool needs_input_gradient_ = false;
  std::optional<ReluMask> input_mask_;
  Product forward_;
  WeightGradient backward_weights_;
  Product backward_inputs_;
};

}  // namespace regatta::cuda

// A batch of products, one for each lane.
#include "models/cuda/projection.h"

#include "base/check.h"
#include "models/cuda/add_bias.h"

namespace regatta::cuda {

Status Product::plan(Planner& planner, const MatmulShape& shape) {
  ASSIGN_OR_RETURN(product_, plan_matmul(*planner.libraries().matmul, shape));
  workspace_ = planner.product_workspace(product_->workspace_bytes());
  return {};
}

void Product::put_beside(Planner& planner) {
  workspace_ = planner.side_workspace(product_->workspace_bytes());
}

Status Product::run(const Step& step, const MatmulMemory& memory) const {
  return product_->run(step.stream, memory, step.data(workspace_));
}

Status WeightGradient::plan(Planner& planner, const ProjectionShape& shape, float* weight_gradient,
                            float* bias_gradient) {
  weight_gradient_ = weight_gradient;
  bias_gradient_ = bias_gradient;
  written_ = shape.batches * shape.outputs * shape.inputs;
  MatmulShape product{.m = shape.outputs,
                      .n = shape.inputs,
                      .k = shape.points,
                      .transpose_a = true,
                      .a_row = shape.y_row,
                      .b_row = shape.x_row,
                      .d_row = shape.inputs,
                      .batches = shape.batches,
                      .a_batch = shape.outputs,
                      .b_batch = shape.inputs,
                      .d_batch = shape.outputs * shape.inputs,
                      .math = planner.math(),
                      .output = ElementType::f32};
  if (bias_gradient != nullptr) {
    if (leaves_card_idle(written_)) {
      product.ending = MatmulShape::Ending::sums_of_a;
      product.bias_batch = shape.outputs;
      if (product_.plan(planner, product).ok()) {
        return {};
      }
      product.ending = MatmulShape::Ending::none;
    }
    column_sums_.emplace(planner, shape.points, shape.y_row, shape.batches * shape.outputs, planner.type());
  }
  return product_.plan(planner, product);
}

void WeightGradient::put_beside(Planner& planner, const Tensor& x, const Tensor& dy) {
  is_beside_ = planner.has_side_branch() && leaves_card_idle(written_);
  if (!is_beside_) {
    return;
  }
  product_.put_beside(planner);
  planner.use_to_the_end(x);
  planner.use_to_the_end(dy);
  if (column_sums_) {
    planner.use_to_the_end(column_sums_->partial());
  }
}

Status WeightGradient::run(const Step& step, const void* x, const void* dy) const {
  if (!is_beside_) {
    return run_on(step, x, dy);
  }
  ASSIGN_OR_RETURN(const Step beside, step.beside());
  return run_on(beside, x, dy);
}

Status WeightGradient::run_on(const Step& step, const void* x, const void* dy) const {
  RETURN_IF_ERROR(product_.run(step, {.a = dy, .b = x, .d = weight_gradient_, .sums = bias_gradient_}));
  if (column_sums_) {
    column_sums_->enqueue(step, dy, bias_gradient_);
  }
  return {};
}

Projection::Projection(const Planner& planner, const std::string& weight, const std::string& bias,
                       const ProjectionShape& shape)
    : shape_(shape),
      weight_(planner.parameters().product_weight(weight)),
      weight_gradient_(planner.parameters().gradient(weight)) {
  if (!bias.empty()) {
    CHECK(shape.y_row == shape.batches * shape.outputs);
    float_bias_ = planner.parameters().weight(bias);
    bias_ = planner.parameters().product_weight(bias);
    bias_gradient_ = planner.parameters().gradient(bias);
  }
}

Status Projection::plan_forward(Planner& planner, bool relu) {
  using Ending = MatmulShape::Ending;
  CHECK(bias_ != nullptr || !relu, "a relu is applied along with a bias only");
  MatmulShape product{.m = shape_.points,
                      .n = shape_.outputs,
                      .k = shape_.inputs,
                      .transpose_b = true,
                      .a_row = shape_.x_row,
                      .b_row = shape_.inputs,
                      .d_row = shape_.y_row,
                      .batches = shape_.batches,
                      .a_batch = shape_.inputs,
                      .b_batch = shape_.outputs * shape_.inputs,
                      .d_batch = shape_.outputs,
                      .math = planner.math(),
                      .output = planner.type(),
                      .ending = bias_ == nullptr ? Ending::none
                                : relu           ? Ending::bias_relu
                                                 : Ending::bias,
                      .bias_batch = shape_.outputs};
  has_relu_ = relu;
  type_ = planner.type();
  const bool trains = planner.phase() == Phase::train;
  if (relu && trains) {
    relu_mask_ = planner.allocate_relu_mask(shape_.points, shape_.outputs);
  }
  if (relu_mask_) {
    product.ending = Ending::bias_relu_mask;
    product.mask_row = relu_mask_->row;
    if (forward_.plan(planner, product).ok()) {
      return {};
    }
    relu_mask_.reset();
    product.ending = Ending::bias_relu;
  }
  const Status planned = forward_.plan(planner, product);
  if (planned.ok() || bias_ == nullptr) {
    return planned;
  }
  adds_bias_ = true;
  product.ending = Ending::none;
  return forward_.plan(planner, product);
}

Status Projection::plan_backward(Planner& planner, InputGradient input_gradient,
                                 const std::optional<ReluMask>& input_mask) {
  RETURN_IF_ERROR(backward_weights_.plan(planner, shape_, weight_gradient_, bias_gradient_));
  needs_input_gradient_ = input_gradient == InputGradient::needed;
  if (!needs_input_gradient_) {
    return {};
  }
  MatmulShape product{.m = shape_.points,
                      .n = shape_.inputs,
                      .k = shape_.outputs,
                      .a_row = shape_.y_row,
                      .b_row = shape_.inputs,
                      .d_row = shape_.x_row,
                      .batches = shape_.batches,
                      .a_batch = shape_.outputs,
                      .b_batch = shape_.outputs * shape_.inputs,
                      .d_batch = shape_.inputs,
                      .math = planner.math(),
                      .output = planner.type()};
  if (input_mask && shape_.outputs > 1) {  // a product over one element takes no bits
    product.ending = MatmulShape::Ending::masked;
    product.mask_row = input_mask->row;
    if (backward_inputs_.plan(planner, product).ok()) {
      planner.use(*input_mask);
      input_mask_ = input_mask;
      return {};
    }
    product.ending = MatmulShape::Ending::none;
  }
  return backward_inputs_.plan(planner, product);
}

Status Projection::forward(const Step& step, const void* x, void* y) const {
  RETURN_IF_ERROR(forward_.run(step, {.a = x,
                                      .b = weight_,
                                      .d = y,
                                      .bias = adds_bias_ ? nullptr : bias_,
                                      .mask = relu_mask_ ? step.data(*relu_mask_) : nullptr}));
  if (adds_bias_) {
    add_bias(step.stream, shape_.points, shape_.y_row, type_, float_bias_, has_relu_, y);
  }
  return {};
}

Status Projection::backward(const Step& step, const void* x, const void* dy, void* dx) const {
  RETURN_IF_ERROR(backward_weights_.run(step, x, dy));
  if (!needs_input_gradient_) {
    return {};
  }
  return backward_inputs_.run(
      step, {.a = dy, .b = weight_, .d = dx, .mask = input_mask_ ? step.data(*input_mask_) : nullptr});
}

}  // namespace regatta::cuda

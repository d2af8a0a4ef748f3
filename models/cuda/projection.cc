// A batch of products, one for each lane.
#include "models/cuda/projection.h"

#include "base/check.h"
#include "models/cuda/add_bias.h"

namespace regatta::cuda {

Status Product::plan(Planner& planner, const MatmulShape& shape) {
  ASSIGN_OR_RETURN(product_, plan_matmul(*planner.libraries().matmul, shape));
  workspace_ = planner.workspace(product_->workspace_bytes());
  return {};
}

Status Product::run(const Step& step, const void* a, const void* b, const void* bias, void* d) const {
  return product_->run(step.stream, a, b, bias, d, step.data(workspace_));
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
  const Status planned = forward_.plan(planner, product);
  if (planned.ok() || bias_ == nullptr) {
    return planned;
  }
  adds_bias_ = true;
  product.ending = Ending::none;
  return forward_.plan(planner, product);
}

Status Projection::plan_backward(Planner& planner, InputGradient input_gradient) {
  RETURN_IF_ERROR(backward_weights_.plan(planner, {.m = shape_.outputs,
                                                   .n = shape_.inputs,
                                                   .k = shape_.points,
                                                   .transpose_a = true,
                                                   .a_row = shape_.y_row,
                                                   .b_row = shape_.x_row,
                                                   .d_row = shape_.inputs,
                                                   .batches = shape_.batches,
                                                   .a_batch = shape_.outputs,
                                                   .b_batch = shape_.inputs,
                                                   .d_batch = shape_.outputs * shape_.inputs,
                                                   .math = planner.math(),
                                                   .output = ElementType::f32}));
  if (bias_ != nullptr) {
    column_sums_.emplace(planner, shape_.points, shape_.y_row, planner.type());
  }
  needs_input_gradient_ = input_gradient == InputGradient::needed;
  if (!needs_input_gradient_) {
    return {};
  }
  return backward_inputs_.plan(planner, {.m = shape_.points,
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
                                         .output = planner.type()});
}

Status Projection::forward(const Step& step, const void* x, void* y) const {
  RETURN_IF_ERROR(forward_.run(step, x, weight_, adds_bias_ ? nullptr : bias_, y));
  if (adds_bias_) {
    add_bias(step.stream, shape_.points, shape_.y_row, type_, float_bias_, has_relu_, y);
  }
  return {};
}

Status Projection::backward(const Step& step, const void* x, const void* dy, void* dx) const {
  RETURN_IF_ERROR(backward_weights_.run(step, dy, x, nullptr, weight_gradient_));
  if (column_sums_) {
    column_sums_->enqueue(step, dy, bias_gradient_);
  }
  return needs_input_gradient_ ? backward_inputs_.run(step, dy, weight_, nullptr, dx) : Status();
}

}  // namespace regatta::cuda

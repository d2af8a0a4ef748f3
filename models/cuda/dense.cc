// Dense layers of all lanes: one wide product where they share the input, else a batch of products.
#include "models/cuda/operations.h"
#include "models/cuda/projection.h"

namespace regatta::cuda {
namespace {

std::string bias_of(const std::string& name, const Dense& dense) { return dense.bias ? name + ".bias" : ""; }

// With L lanes of K inputs and U units: x is [M, L, K], or shared [M, K] under weights [L·U, K].
ProjectionShape shape_of(const Planner& planner, const Dense& dense, const Tensor& input) {
  const std::int64_t lanes = planner.lanes();
  const std::int64_t batches = input.lanes < lanes ? 1 : lanes;
  return {.batches = batches,
          .points = input.points(),
          .inputs = input.channels(),
          .outputs = dense.units * lanes / batches,
          .x_row = input.width(),
          .y_row = lanes * dense.units};
}

class DenseOperation final : public Operation {
 public:
  DenseOperation(const Planner& planner, const std::string& name, const Dense& dense, const Tensor& input)
      : input_(input),
        projection_(planner, name + ".weight", bias_of(name, dense), shape_of(planner, dense, input)) {}

  Status plan_forward(Planner& planner, const Shape& output, Ending ending) {
    planner.use(input_);
    output_ = planner.allocate(output);
    output_.needs_gradient = true;
    RETURN_IF_ERROR(projection_.plan_forward(planner, ending == Ending::relu));
    output_.relu_mask = projection_.relu_mask();
    return {};
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    planner.use(input_);
    if (!input_.needs_gradient) {
      return projection_.plan_backward(planner, Projection::InputGradient::unneeded);
    }
    input_gradient_ = planner.allocate_like(input_, input_.type);
    RETURN_IF_ERROR(projection_.plan_backward(planner, Projection::InputGradient::needed, input_.relu_mask));
    projection_.put_weights_beside(planner, input_, output_gradient_);
    input_gradient_.is_masked = projection_.masks_input_gradient();
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    return projection_.forward(step, step.data(input_), step.data(output_));
  }

  Status backward(const Step& step) override {
    void* const dx = input_.needs_gradient ? step.data(input_gradient_) : nullptr;
    return projection_.backward(step, step.data(input_), step.data(output_gradient_), dx);
  }

 private:
  Tensor input_;
  Projection projection_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                           Ending ending) {
  auto operation = std::make_unique<DenseOperation>(planner, name, dense, input);
  const Shape output =
      is_sequence(input.shape) ? Shape{input.shape.front(), dense.units} : Shape{dense.units};
  RETURN_IF_ERROR(operation->plan_forward(planner, output, ending));
  Tensor result = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(result)};
}

}  // namespace regatta::cuda

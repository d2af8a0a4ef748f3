// Dense layers of all lanes: one wide product where they share the input, else a batch of products.
#include "models/cuda/column_sums.h"
#include "models/cuda/operations.h"

namespace regatta::cuda {
namespace {

// With L lanes of K inputs and U units at M points, row-major:
//   y[M, L, U] = x[M, L, K] Wᵀ + b,   W[L, U, K], b[L, U]
//   dx = dy W,   dW = dyᵀ x,   db = Σ dy
// A lane's rows are L·K or L·U elements apart. Shared, x is [M, K], and W and dW are one matrix [L·U, K].
class DenseOperation final : public Operation {
 public:
  DenseOperation(Planner& planner, const std::string& name, const Dense& dense, Tensor input)
      : input_(std::move(input)),
        batches_(input_.lanes < planner.lanes() ? 1 : planner.lanes()),
        inputs_(input_.channels()),
        units_(dense.units * planner.lanes() / batches_),
        weight_(planner.parameters().product_weight(name + ".weight")),
        weight_gradient_(planner.parameters().gradient(name + ".weight")) {
    if (dense.bias) {
      const Parameters& parameters = planner.parameters();
      bias_ = parameters.product_weight(name + ".bias");
      bias_gradient_ = parameters.gradient(name + ".bias");
    }
  }

  Status plan_forward(Planner& planner, const Shape& output, Ending ending) {
    using How = MatmulShape::Ending;
    planner.use(input_);
    output_ = planner.allocate(output);
    output_.needs_gradient = true;
    const MatmulShape product{.m = input_.points(),
                              .n = units_,
                              .k = inputs_,
                              .transpose_b = true,
                              .a_row = batches_ * inputs_,
                              .b_row = inputs_,
                              .d_row = batches_ * units_,
                              .batches = batches_,
                              .a_batch = inputs_,
                              .b_batch = units_ * inputs_,
                              .d_batch = units_,
                              .math = planner.math(),
                              .output = planner.type(),
                              .ending = bias_ == nullptr         ? How::none
                                        : ending == Ending::relu ? How::bias_relu
                                                                 : How::bias,
                              .bias_batch = units_};
    return plan_product(planner, product, forward_);
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    planner.use(input_);
    const MatmulShape of_weights{.m = units_,
                                 .n = inputs_,
                                 .k = input_.points(),
                                 .transpose_a = true,
                                 .a_row = batches_ * units_,
                                 .b_row = batches_ * inputs_,
                                 .d_row = inputs_,
                                 .batches = batches_,
                                 .a_batch = units_,
                                 .b_batch = inputs_,
                                 .d_batch = units_ * inputs_,
                                 .math = planner.math(),
                                 .output = ElementType::f32};
    RETURN_IF_ERROR(plan_product(planner, of_weights, backward_weights_));
    if (bias_ != nullptr) {
      column_sums_.emplace(planner, output_gradient_.points(), output_gradient_.width(),
                           output_gradient_.type);
    }
    if (!input_.needs_gradient) {
      return {};
    }
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    const MatmulShape of_inputs{.m = input_.points(),
                                .n = inputs_,
                                .k = units_,
                                .a_row = batches_ * units_,
                                .b_row = inputs_,
                                .d_row = batches_ * inputs_,
                                .batches = batches_,
                                .a_batch = units_,
                                .b_batch = units_ * inputs_,
                                .d_batch = inputs_,
                                .math = planner.math(),
                                .output = planner.type()};
    return plan_product(planner, of_inputs, backward_inputs_);
  }

  Status forward(const Step& step) override {
    return forward_.product->run(step.stream, step.data(input_), weight_, bias_, step.data(output_),
                                 step.data(forward_.workspace));
  }

  Status backward(const Step& step) override {
    const void* const gradient = step.data(output_gradient_);
    RETURN_IF_ERROR(backward_weights_.product->run(step.stream, gradient, step.data(input_), nullptr,
                                                   weight_gradient_, step.data(backward_weights_.workspace)));
    if (column_sums_) {
      column_sums_->enqueue(step, gradient, bias_gradient_);
    }
    if (!input_.needs_gradient) {
      return {};
    }
    return backward_inputs_.product->run(step.stream, gradient, weight_, nullptr, step.data(input_gradient_),
                                         step.data(backward_inputs_.workspace));
  }

 private:
  struct PlannedProduct {
    std::unique_ptr<Matmul> product;
    Tensor workspace;
  };
  static Status plan_product(Planner& planner, const MatmulShape& shape, PlannedProduct& planned) {
    ASSIGN_OR_RETURN(planned.product, plan_matmul(*planner.libraries().matmul, shape));
    planned.workspace = planner.workspace(planned.product->workspace_bytes());
    return {};
  }

  Tensor input_;
  std::int64_t batches_;
  std::int64_t inputs_;
  std::int64_t units_;  // of a matrix: of all lanes where they share the input
  const void* weight_;
  float* weight_gradient_;
  const void* bias_ = nullptr;
  float* bias_gradient_ = nullptr;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  PlannedProduct forward_;
  PlannedProduct backward_weights_;
  PlannedProduct backward_inputs_;
  std::optional<ColumnSums> column_sums_;
};

}  // namespace

Result<Planned> plan_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                           Ending ending) {
  CHECK(dense.bias || ending == Ending::none, "a relu is applied along with a bias only");
  auto operation = std::make_unique<DenseOperation>(planner, name, dense, input);
  const Shape output =
      is_sequence(input.shape) ? Shape{input.shape.front(), dense.units} : Shape{dense.units};
  RETURN_IF_ERROR(operation->plan_forward(planner, output, ending));
  Tensor result = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(result)};
}

}  // namespace regatta::cuda

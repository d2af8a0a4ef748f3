// y = x Wᵀ + b, of each row or of each position of each row.
#include "models/cpu/operations.h"
#include "models/cpu/products.h"

namespace regatta {
namespace {

// Where weights are applied: all of a sample, or each position of a sequence.
std::int64_t inputs_of(const Shape& shape) { return is_sequence(shape) ? shape.back() : element_count(shape); }

Shape output_shape(const Shape& input, std::int64_t units) {
  return is_sequence(input) ? Shape{input.front(), units} : Shape{units};
}

class DenseOperation final : public Operation {
 public:
  DenseOperation(Planner& planner, const std::string& name, const Dense& dense, Tensor input, Ending ending)
      : projection_{.weight = name + ".weight",
                    .bias = dense.bias ? name + ".bias" : "",
                    .inputs = inputs_of(input.shape),
                    .outputs = dense.units},
        input_(std::move(input)),
        output_(planner.allocate(output_shape(input_.shape, dense.units),
                                 plain_layout(planner.rows(), output_shape(input_.shape, dense.units)))) {
    CHECK(input_.layout == plain_layout(planner.rows(), input_.shape));
    output_.needs_gradient = true;
    planner.use(input_);
    add_projection(planner, forward_, projection_, input_, output_, ending_operations(ending));
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient_like(output_, backward_);
    planner.use(output_gradient_);
    planner.use(input_);
    Tensor input_gradient;
    if (input_.needs_gradient) {
      input_gradient = planner.allocate(input_.shape, input_.layout);
      planner.set_gradient(input_, input_gradient);
    }
    add_projection_gradients(planner, backward_, projection_, input_, output_gradient_, input_gradient);
    for (int lane = 0; lane < planner.lanes() && !projection_.bias.empty(); ++lane) {
      bias_gradients_.push_back(planner.parameters().gradient(projection_.bias, lane));
    }
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  // dW = dyᵀ x;  db = Σ dy over the rows;  dx = dy W
  Status backward(const Step& step) override {
    backward_.run(step);
    if (!bias_gradients_.empty()) {
      step.for_active_lanes([&](int lane) {
        column_sums(output_gradient_.data(lane), output_gradient_.floats() / projection_.outputs,
                    projection_.outputs, bias_gradients_[static_cast<std::size_t>(lane)]);
      });
    }
    return {};
  }

 private:
  Projection projection_;
  Tensor input_;
  Tensor output_;
  Tensor output_gradient_;
  std::vector<float*> bias_gradients_;  // one a lane; empty without a bias
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                   Ending ending) {
  auto operation = std::make_unique<DenseOperation>(planner, name, dense, input, ending);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

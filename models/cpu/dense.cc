// y = x Wᵀ + b, of each row or of each position of each row.
#include "models/cpu/operations.h"
#include "models/cpu/products.h"

namespace regatta {

std::int64_t dense_inputs(const Shape& input) {
  return is_sequence(input) ? input.back() : element_count(input);
}

Shape dense_output(const Shape& input, std::int64_t units) {
  return is_sequence(input) ? Shape{input.front(), units} : Shape{units};
}

namespace {

class DenseOperation final : public Operation {
 public:
  DenseOperation(Planner& planner, std::string name, const Dense& dense, Tensor input,
                 const OutputOptions& options)
      : weight_(name + ".weight"),
        bias_(dense.bias ? name + ".bias" : ""),
        inputs_(dense_inputs(input.shape)),
        units_(dense.units),
        input_(std::move(input)),
        output_(planner.allocate(
            dense_output(input_.shape, units_),
            plain_layout(planner.rows(), dense_output(input_.shape, units_), options.type))) {
    const ElementType precision = planner.precision();
    output_.needs_gradient = true;
    read_ = planner.converted(input_, plain_layout(planner.rows(), input_.shape, precision), forward_);
    const Tensor inputs = as_matrix(planner, read_, inputs_);
    const Tensor outputs = as_matrix(planner, output_, units_);
    const auto weights = planner.weights_as(weight_, transposed(inputs_, units_),
                                            transposed(inputs_, units_, precision), forward_);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(planner, forward_, lane,
                  {.left = inputs.lanes[index],
                   .right = weights[index],
                   .bias = bias_.empty() ? dnnl::memory() : planner.weight(bias_, matrix(1, units_), lane),
                   .result = outputs.lanes[index],
                   .after = ending_operations(options.ending)});
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    const ElementType precision = planner.precision();
    const Tensor read_gradient = planner.converted(
        output_gradient_, plain_layout(planner.rows(), output_.shape, precision), backward_);
    const Tensor read = planner.again(read_, backward_);
    const Tensor inputs = as_matrix(planner, read, inputs_);
    const Tensor turned = as_transposed(planner, read_gradient, units_);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(planner, backward_, lane,
                  {.left = turned.lanes[index],
                   .right = inputs.lanes[index],
                   .result = planner.gradient_of_weight(weight_, matrix(units_, inputs_), lane)});
      if (!bias_.empty()) {
        bias_gradients_.push_back(planner.parameters().gradient(bias_, lane));
      }
    }
    if (input_.needs_gradient) {
      plan_input_gradient(planner, as_matrix(planner, read_gradient, units_), read);
    }
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  // dW = dyᵀ x;  db = Σ dy over the rows;  dx = dy W
  Status backward(const Step& step) override {
    backward_.run(step);
    if (!bias_.empty()) {
      step.for_active_lanes([&](int lane) {
        column_sums(output_gradient_, lane, units_, bias_gradients_[static_cast<std::size_t>(lane)]);
      });
    }
    return {};
  }

 private:
  // The products run lane by lane, and dW is each lane's first: after it dx may take the place of x.
  void plan_input_gradient(Planner& planner, const Tensor& gradients, const Tensor& read) {
    const bool in_place = read.may_overwrite && read.layout == input_.layout;
    const Tensor input_gradient = in_place ? planner.view(read, input_.shape, input_.layout)
                                           : planner.allocate(input_.shape, input_.layout);
    planner.set_gradient(input_, input_gradient);
    const Tensor results = as_matrix(planner, input_gradient, inputs_);
    const auto weights = planner.weights_as(weight_, matrix(units_, inputs_),
                                            matrix(units_, inputs_, planner.precision()), backward_);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(planner, backward_, lane,
                  {.left = gradients.lanes[index], .right = weights[index], .result = results.lanes[index]});
    }
  }

  std::string weight_;
  std::string bias_;  // empty: none
  std::int64_t inputs_;
  std::int64_t units_;
  Tensor input_;
  Tensor read_;  // the input in the precision of the products
  Tensor output_;
  Tensor output_gradient_;
  std::vector<float*> bias_gradients_;
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                   const OutputOptions& options) {
  auto operation = std::make_unique<DenseOperation>(planner, name, dense, input, options);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

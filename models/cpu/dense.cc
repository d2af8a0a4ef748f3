// y = x Wᵀ + b, of each row or of each position of each row.
#include "models/cpu/operations.h"
#include "models/cpu/products.h"

namespace regatta {
namespace {

// Where weights are applied: all of a sample, or each position of a sequence.
std::int64_t inputs_of(const Shape& shape) {
  return is_sequence(shape) ? shape.back() : element_count(shape);
}

Shape output_shape(const Shape& input, std::int64_t units) {
  return is_sequence(input) ? Shape{input.front(), units} : Shape{units};
}

class DenseOperation final : public Operation {
 public:
  DenseOperation(Planner& planner, std::string name, const Dense& dense, Tensor input, Ending ending)
      : weight_(name + ".weight"),
        bias_(dense.bias ? name + ".bias" : ""),
        inputs_(inputs_of(input.shape)),
        units_(dense.units),
        input_(std::move(input)),
        output_(planner.allocate(output_shape(input_.shape, units_),
                                 plain_layout(planner.rows(), output_shape(input_.shape, units_)))),
        rows_(output_.floats() / units_) {
    CHECK(input_.layout == plain_layout(planner.rows(), input_.shape));
    output_.needs_gradient = true;
    planner.use(input_);
    const Tensor inputs = as_matrix(planner, input_, inputs_);
    const Tensor outputs = as_matrix(planner, output_, units_);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(planner, forward_, lane,
                  {.left = inputs.lanes[index],
                   .right = planner.weight(weight_, transposed(inputs_, units_), lane),
                   .bias = bias_.empty() ? dnnl::memory() : planner.weight(bias_, matrix(1, units_), lane),
                   .result = outputs.lanes[index],
                   .after = ending_operations(ending)});
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    planner.use(input_);
    if (input_.needs_gradient) {
      planner.set_gradient(input_, planner.allocate(input_.shape, input_.layout));
    }
    const Tensor inputs = as_matrix(planner, input_, inputs_);
    const Tensor gradients = as_matrix(planner, output_gradient_, units_);
    const Tensor turned = as_transposed(planner, output_gradient_, units_);
    const Tensor input_gradients =
        input_.needs_gradient ? as_matrix(planner, planner.gradient(input_), inputs_) : Tensor();
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(planner, backward_, lane,
                  {.left = turned.lanes[index],
                   .right = inputs.lanes[index],
                   .result = planner.gradient_of_weight(weight_, matrix(units_, inputs_), lane)});
      if (!bias_.empty()) {
        bias_gradients_.push_back(planner.parameters().gradient(bias_, lane));
      }
      if (input_.needs_gradient) {
        add_product(planner, backward_, lane,
                    {.left = gradients.lanes[index],
                     .right = planner.weight(weight_, matrix(units_, inputs_), lane),
                     .result = input_gradients.lanes[index]});
      }
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
        column_sums(output_gradient_.data(lane), rows_, units_,
                    bias_gradients_[static_cast<std::size_t>(lane)]);
      });
    }
    return {};
  }

 private:
  std::string weight_;
  std::string bias_;  // empty: none
  std::int64_t inputs_;
  std::int64_t units_;
  Tensor input_;
  Tensor output_;
  std::int64_t rows_;  // positions of sequences count one by one
  Tensor output_gradient_;
  std::vector<float*> bias_gradients_;
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

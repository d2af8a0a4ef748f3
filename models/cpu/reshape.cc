// The same values under another shape, in the order channel, row, column of images: a reorder to row-major
// layout, or nothing at all.
#include "models/cpu/operations.h"

namespace regatta {
namespace {

class ReshapeOperation final : public Operation {
 public:
  ReshapeOperation(Planner& planner, Tensor input, const Shape& shape)
      : input_(std::move(input)), plain_input_(plain_layout(planner.rows(), input_.shape, input_.type())) {
    Tensor plain = input_;
    planner.use(input_);
    if (input_.layout != plain_input_) {
      plain = planner.allocate(input_.shape, plain_input_);
      for (int lane = 0; lane < planner.lanes(); ++lane) {
        const auto index = static_cast<std::size_t>(lane);
        planner.add_reorder(forward_, lane, input_.lanes[index], plain.lanes[index]);
      }
    }
    output_ = planner.view(plain, shape, plain_layout(planner.rows(), shape, input_.type()));
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  // Who reads the gradient reorders it as needed.
  void plan_backward(Planner& planner) override {
    planner.set_gradient(input_,
                         planner.view(planner.gradient_like(output_, backward_), input_.shape, plain_input_));
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  Status backward(const Step& step) override {
    backward_.run(step);
    return {};
  }

 private:
  Tensor input_;
  Layout plain_input_;
  Tensor output_;
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_reshape(Planner& planner, const Tensor& input, const Shape& shape) {
  auto operation = std::make_unique<ReshapeOperation>(planner, input, shape);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

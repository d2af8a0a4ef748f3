// From the type of the products to floats, before an operation that knows only these.
#include "models/cpu/operations.h"

namespace regatta {
namespace {

class FloatsOperation final : public Operation {
 public:
  FloatsOperation(Planner& planner, Tensor input)
      : input_(std::move(input)), output_(planner.converted(input_, float_layout(input_.layout), forward_)) {
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  // Who reads the gradient converts it as needed.
  void plan_backward(Planner& planner) override { planner.set_gradient(input_, planner.gradient(output_)); }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  Status backward(const Step&) override { return {}; }

 private:
  static Layout float_layout(Layout layout) {
    layout.data.data_type = dnnl_f32;
    return layout;
  }

  Tensor input_;
  CallSequence forward_;
  Tensor output_;
};

}  // namespace

Planned plan_floats(Planner& planner, const Tensor& input) {
  auto operation = std::make_unique<FloatsOperation>(planner, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

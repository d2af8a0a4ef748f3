// Images to features, in the order channel, row, column: a reorder to row-major layout, or nothing at all.
#include "models/cpu/operations.h"

namespace regatta {
namespace {

class FlattenOperation final : public Operation {
 public:
  FlattenOperation(Planner& planner, Tensor input)
      : input_(std::move(input)),
        image_layout_(plain_layout(planner.rows(), input_.shape)),
        row_layout_(plain_layout(planner.rows(), {element_count(input_.shape)})) {
    Tensor image = input_;
    planner.use(input_);
    if (input_.layout != image_layout_) {
      image = planner.allocate(input_.shape, image_layout_);
      for (int lane = 0; lane < planner.lanes(); ++lane) {
        const auto index = static_cast<std::size_t>(lane);
        planner.add_reorder(forward_, lane, input_.lanes[index], image.lanes[index]);
      }
    }
    output_ = planner.view(image, {element_count(input_.shape)}, row_layout_);
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  // Who reads the gradient reorders it as needed.
  void plan_backward(Planner& planner) override {
    planner.set_gradient(input_, planner.view(planner.gradient(output_), input_.shape, image_layout_));
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  Status backward(const Step&) override { return {}; }

 private:
  Tensor input_;
  Layout image_layout_;
  Layout row_layout_;
  Tensor output_;
  CallSequence forward_;
};

}  // namespace

Planned plan_flatten(Planner& planner, const Tensor& input) {
  auto operation = std::make_unique<FlattenOperation>(planner, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

// Cross-correlation along the positions as a matrix product of all windows, which are copied behind each
// other.
#include "models/cuda/operations.h"
#include "models/cuda/projection.h"
#include "models/cuda/windows.h"

namespace regatta::cuda {
namespace {

// Filters are stored as [taps][features], in the order of a window. The copies are made once more for
// backward instead of being kept: they are `kernel` times as large as the input.
class Conv1dOperation final : public Operation {
 public:
  Conv1dOperation(Planner& planner, const std::string& name, const Conv1d& conv, Tensor input)
      : input_(std::move(input)),
        windows_{.type = planner.type(),
                 .rows = input_.rows,
                 .positions = input_.positions(),
                 .lanes = input_.lanes,
                 .features = input_.channels(),
                 .kernel = conv.kernel,
                 .stride = conv.stride,
                 .zeros_before = conv.zeros_before,
                 .count = window_positions(input_.positions() + conv.zeros_before + conv.zeros_after,
                                           conv.kernel, conv.stride, 0)},
        projection_(planner, name + ".weight", conv.bias ? name + ".bias" : "",
                    {.batches = windows_.lanes,
                     .points = windows_.rows * windows_.count,
                     .inputs = windows_.kernel * windows_.features,
                     .outputs = conv.filters,
                     .x_row = windows_.lanes * windows_.kernel * windows_.features,
                     .y_row = windows_.lanes * conv.filters}),
        output_(planner.allocate({windows_.count, conv.filters})) {
    CHECK(input_.lanes == planner.lanes() && input_.type == planner.type());
    planner.use(input_);
    output_.needs_gradient = true;
  }

  Status plan_forward(Planner& planner) {
    if (!windows_.are_positions()) {
      columns_ = planner.allocate_values(column_count(), windows_.type);
    }
    return projection_.plan_forward(planner);
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    planner.use(input_);
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    if (!windows_.are_positions()) {
      backward_columns_ = planner.allocate_values(column_count(), windows_.type);
    }
    if (!input_.needs_gradient) {
      return projection_.plan_backward(planner, Projection::InputGradient::unneeded);
    }
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    return projection_.plan_backward(planner, Projection::InputGradient::needed);
  }

  Status forward(const Step& step) override {
    return projection_.forward(step, columns(step, columns_), step.data(output_));
  }

  // The columns' gradients take the columns' place, once the products of those are done.
  Status backward(const Step& step) override {
    const void* const from = columns(step, backward_columns_);
    void* const gradients = step.data(windows_.are_positions() ? input_gradient_ : backward_columns_);
    RETURN_IF_ERROR(projection_.backward(step, from, step.data(output_gradient_), gradients));
    if (input_.needs_gradient && !windows_.are_positions()) {
      sum_windows(step.stream, windows_, gradients, step.data(input_gradient_));
    }
    return {};
  }

 private:
  std::int64_t column_count() const {
    return windows_.rows * windows_.count * windows_.lanes * windows_.kernel * windows_.features;
  }

  // The input itself, or `memory` filled with its windows.
  const void* columns(const Step& step, const Tensor& memory) const {
    if (windows_.are_positions()) {
      return step.data(input_);
    }
    gather_windows(step.stream, windows_, step.data(input_), step.data(memory));
    return step.data(memory);
  }

  Tensor input_;
  Windows windows_;
  Projection projection_;
  Tensor output_;
  Tensor columns_;
  Tensor backward_columns_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string& name, const Conv1d& conv,
                               const Tensor& input) {
  auto operation = std::make_unique<Conv1dOperation>(planner, name, conv, input);
  RETURN_IF_ERROR(operation->plan_forward(planner));
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

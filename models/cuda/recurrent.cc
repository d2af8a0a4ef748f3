// LSTM and GRU through time. The inputs of all positions go through one product; then each position needs one
// of the state before it and one pass over the gates. Backward leaves the gates' gradients in their place, so
// that the weights' gradients are products over all positions at the end.
//
// h of the position before stands at each point once more: so a position is one matrix with rows far apart,
// all positions are one matrix, too, and what precedes the first is zeros.
#include <numeric>

#include "models/cuda/operations.h"
#include "models/cuda/projection.h"
#include "models/cuda/recurrent_kernels.h"

namespace regatta::cuda {
namespace {

// Each position's matrix begins where products may read.
std::int64_t padded(std::int64_t elements, ElementType type) {
  const std::int64_t together = 16 / bytes_of(type);
  return (elements + together - 1) / together * together;
}

class RecurrentOperation final : public Operation {
 public:
  RecurrentOperation(Planner& planner, const std::string& name, const Recurrent& recurrent, Tensor input)
      : lstm_(recurrent.kind == Recurrent::Kind::lstm),
        math_(planner.math()),
        input_(std::move(input)),
        units_(recurrent.units),
        gates_((lstm_ ? 4 : 3) * units_),
        shape_{.type = planner.type(),
               .rows = input_.rows,
               .positions = input_.positions(),
               .lanes = input_.lanes,
               .units = units_,
               .gate_row = padded(input_.lanes * gates_, planner.type()),
               .state_row = padded(input_.lanes * units_, planner.type())},
        inputs_(planner, name + ".weight_ih_l0", "",
                {.batches = input_.lanes,
                 .points = input_.points(),
                 .inputs = input_.channels(),
                 .outputs = gates_,
                 .x_row = input_.width(),
                 .y_row = shape_.gate_row}) {
    CHECK(input_.lanes == planner.lanes() && input_.type == planner.type());
    const Parameters& parameters = planner.parameters();
    input_bias_ = parameters.weight(name + ".bias_ih_l0");
    inputs_.set_bias_gradient(parameters.gradient(name + ".bias_ih_l0"));
    state_bias_ = parameters.weight(name + ".bias_hh_l0");
    state_bias_gradient_ = parameters.gradient(name + ".bias_hh_l0");
    state_weight_ = parameters.product_weight(name + ".weight_hh_l0");
    state_weight_gradient_ = parameters.gradient(name + ".weight_hh_l0");
  }

  Status plan_forward(Planner& planner) {
    planner.use(input_);
    output_ = planner.allocate({input_.positions(), units_});
    output_.needs_gradient = true;
    gate_memory_ = planner.allocate_values(input_.points() * shape_.gate_row, shape_.type);
    previous_ = planner.allocate_values(input_.points() * shape_.state_row, shape_.type);
    if (lstm_) {
      cells_ = planner.allocate_values(output_.size(), ElementType::f32);
    } else {
      hidden_ = planner.allocate_values(input_.points() * shape_.gate_row, shape_.type);
    }
    state_products_ = planner.allocate_values(shape_.rows * shape_.lanes * gates_, ElementType::f32);
    RETURN_IF_ERROR(inputs_.plan_forward(planner));
    return from_state_.plan(planner, {.m = shape_.rows,
                                      .n = gates_,
                                      .k = units_,
                                      .transpose_b = true,
                                      .a_row = shape_.positions * shape_.state_row,
                                      .b_row = units_,
                                      .d_row = shape_.lanes * gates_,
                                      .batches = shape_.lanes,
                                      .a_batch = units_,
                                      .b_batch = gates_ * units_,
                                      .d_batch = gates_,
                                      .math = math_,
                                      .output = ElementType::f32});
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    for (const Tensor* kept : {&input_, &gate_memory_, &previous_, &cells_, &hidden_, &output_gradient_}) {
      planner.use(*kept);
    }
    const std::int64_t of_states = shape_.rows * shape_.lanes * units_;
    state_gradient_ = planner.allocate_values(of_states, ElementType::f32);
    carried_ = planner.allocate_values(of_states, ElementType::f32);
    RETURN_IF_ERROR(plan_state_products(planner));
    if (input_.needs_gradient) {
      input_gradient_ = planner.allocate_like(input_, input_.type);
      planner.set_gradient(input_, input_gradient_);
    }
    if (!input_.needs_gradient) {
      return inputs_.plan_backward(planner, Projection::InputGradient::unneeded);
    }
    RETURN_IF_ERROR(inputs_.plan_backward(planner, Projection::InputGradient::needed));
    to_state_weights_.put_beside(planner, previous_, state_gate_memory());
    inputs_.put_weights_beside(planner, input_, gate_memory_);
    return {};
  }

  Status forward(const Step& step) override {
    RETURN_IF_ERROR(inputs_.forward(step, step.data(input_), step.data(gate_memory_)));
    RecurrentMemory memory = kept_memory(step);
    for (std::int64_t t = 0; t < shape_.positions; ++t) {
      if (t > 0) {
        auto* const products = step.data<float>(state_products_);
        RETURN_IF_ERROR(from_state_.run(
            step,
            {.a = at_position(step, previous_, shape_.state_row, t), .b = state_weight_, .d = products}));
        memory.products = products;
      }
      (lstm_ ? lstm_forward : gru_forward)(step.stream, shape_, memory, t);
    }
    return {};
  }

  Status backward(const Step& step) override {
    RecurrentMemory memory = kept_memory(step);
    memory.output_gradients = step.data(output_gradient_);
    memory.carried = step.data<float>(carried_);
    for (std::int64_t t = shape_.positions; t-- > 0;) {
      (lstm_ ? lstm_backward : gru_backward)(step.stream, shape_, memory, t);
      if (t > 0) {
        auto* const gradient = step.data<float>(state_gradient_);
        RETURN_IF_ERROR(to_state_.run(step, {.a = at_position(step, state_gate_memory(), shape_.gate_row, t),
                                             .b = state_weight_,
                                             .d = gradient}));
        memory.products = gradient;
      }
    }
    RETURN_IF_ERROR(to_state_weights_.run(step, step.data(previous_), step.data(state_gate_memory())));
    return inputs_.backward(step, step.data(input_), step.data(gate_memory_),
                            input_.needs_gradient ? step.data(input_gradient_) : nullptr);
  }

 private:
  // dh' = (gradients of what was h' Wᵀ) W, and Σ gradientsᵀ h' over all points.
  Status plan_state_products(Planner& planner) {
    RETURN_IF_ERROR(to_state_.plan(planner, {.m = shape_.rows,
                                             .n = units_,
                                             .k = gates_,
                                             .a_row = shape_.positions * shape_.gate_row,
                                             .b_row = units_,
                                             .d_row = shape_.lanes * units_,
                                             .batches = shape_.lanes,
                                             .a_batch = gates_,
                                             .b_batch = gates_ * units_,
                                             .d_batch = units_,
                                             .math = math_,
                                             .output = ElementType::f32}));
    return to_state_weights_.plan(planner,
                                  {.batches = shape_.lanes,
                                   .points = input_.points(),
                                   .inputs = units_,
                                   .outputs = gates_,
                                   .x_row = shape_.state_row,
                                   .y_row = shape_.gate_row},
                                  state_weight_gradient_, state_bias_gradient_);
  }

  RecurrentMemory kept_memory(const Step& step) const {
    return {.gates = step.data(gate_memory_),
            .hidden = lstm_ ? nullptr : step.data(hidden_),
            .cells = lstm_ ? step.data<float>(cells_) : nullptr,
            .previous = step.data(previous_),
            .outputs = step.data(output_),
            .input_bias = input_bias_,
            .state_bias = state_bias_};
  }

  // Where backward leaves the gradients of what the state gives.
  const Tensor& state_gate_memory() const { return lstm_ ? gate_memory_ : hidden_; }

  std::byte* at_position(const Step& step, const Tensor& points, std::int64_t row,
                         std::int64_t position) const {
    return step.data<std::byte>(points) + position * row * bytes_of(shape_.type);
  }

  bool lstm_;
  MathMode math_;
  Tensor input_;
  std::int64_t units_;
  std::int64_t gates_;  // of a lane
  RecurrentShape shape_;
  Projection inputs_;
  const float* input_bias_ = nullptr;
  const float* state_bias_ = nullptr;
  float* state_bias_gradient_ = nullptr;
  const void* state_weight_ = nullptr;
  float* state_weight_gradient_ = nullptr;
  Product from_state_;
  Product to_state_;
  WeightGradient to_state_weights_;
  Tensor output_;
  Tensor gate_memory_;
  Tensor hidden_;  // GRU
  Tensor cells_;   // LSTM
  Tensor previous_;
  Tensor state_products_;
  Tensor output_gradient_;
  Tensor state_gradient_;
  Tensor carried_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string& name, const Recurrent& recurrent,
                               const Tensor& input) {
  auto operation = std::make_unique<RecurrentOperation>(planner, name, recurrent, input);
  RETURN_IF_ERROR(operation->plan_forward(planner));
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

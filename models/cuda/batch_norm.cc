// Batch normalisation over the global batch. Ioffe and Szegedy 2015.
//
//   μ = Σx / n,  σ² = Σ(x - μ)² / n,  y = γ (x - μ) / √(σ² + ε) + β
//   dβ = Σdy,  dγ = Σ dy x̂,  dx = γ/√(σ² + ε) · (dy - dβ/n - x̂ dγ/n),  x̂ = (x - μ)/√(σ² + ε)
//
// with n the rows of all ranks times the positions. Ranks exchange their means first, then the squared
// deviations from the mean of all, so that no digits are lost where the mean is large. A relu that follows is
// applied along, and backward knows from x alone where it cut off: its operation has nothing left to do.
#include "models/cuda/batch_norm_kernels.h"
#include "models/cuda/operations.h"

namespace regatta::cuda {
namespace {

class BatchNormOperation final : public Operation {
 public:
  BatchNormOperation(Planner& planner, const std::string& name, const BatchNorm& norm, const Tensor& input,
                     Ending ending)
      : phase_(planner.phase()),
        shape_{.points = input.points(),
               .positions = input.positions(),
               .width = input.width(),
               .channels = input.channels(),
               .type = input.type,
               .momentum = static_cast<float>(norm.momentum),
               .epsilon = static_cast<float>(norm.epsilon),
               .relu = ending == Ending::relu},
        input_(input) {
    CHECK(input_.lanes == planner.lanes(), "each lane has its own statistics");
    const Parameters& parameters = planner.parameters();
    parameters_.weight = parameters.weight(name + ".weight");
    parameters_.bias = parameters.weight(name + ".bias");
    parameters_.running_mean = parameters.buffer(name + ".running_mean");
    parameters_.running_variance = parameters.buffer(name + ".running_var");
    weight_gradient_ = parameters.gradient(name + ".weight");
    bias_gradient_ = parameters.gradient(name + ".bias");
    planner.use(input_);
    output_ = planner.allocate_like(input_, input_.type);
    output_.needs_gradient = true;
    if (phase_ == Phase::train) {
      statistics_ = planner.allocate_values(2 * shape_.width + 1, ElementType::f32);
      forward_sums_ = allocate_sums(planner);
    }
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    planner.use(input_);
    planner.use(statistics_);
    backward_sums_ = allocate_sums(planner);
    if (input_.needs_gradient) {
      input_gradient_ = planner.allocate_like(input_, input_.type);
      planner.set_gradient(input_, input_gradient_);
    }
    return {};
  }

  Status forward(const Step& step) override {
    if (phase_ == Phase::evaluate) {
      normalise(step.stream, shape_, parameters_, Statistics::running, step.data(input_), step.data(output_));
      return {};
    }
    const BatchNormMemory memory = memory_of(step, forward_sums_);
    take_moments(step.stream, shape_, memory, step.numbers, step.data(input_));
    if (step.exchange == nullptr) {
      set_statistics(step.stream, shape_, memory, step.numbers);
    } else {
      const auto width = static_cast<std::size_t>(shape_.width);
      offer_means(step.stream, shape_, memory, step.numbers);
      RETURN_IF_ERROR(step.exchange->sum(memory.exchanged, 1 + width, step.stream));
      offer_deviations(step.stream, shape_, memory, step.numbers);
      RETURN_IF_ERROR(step.exchange->sum(memory.exchanged + 1, width, step.stream));
      set_exchanged_statistics(step.stream, shape_, memory, step.numbers);
    }
    normalise(step.stream, shape_, memory, Statistics::of_step, step.data(input_), step.data(output_));
    return {};
  }

  Status backward(const Step& step) override {
    const BatchNormMemory memory = memory_of(step, backward_sums_);
    const void* const gradient = step.data(output_gradient_);
    sum_gradients(step.stream, shape_, memory, step.numbers, step.data(input_), gradient, weight_gradient_,
                  bias_gradient_);
    if (!input_.needs_gradient) {
      return {};
    }
    if (step.exchange != nullptr) {
      RETURN_IF_ERROR(
          step.exchange->sum(memory.sums, 2 * static_cast<std::size_t>(shape_.width), step.stream));
    }
    write_input_gradient(step.stream, shape_, memory, step.numbers, step.data(input_), gradient,
                         step.data(input_gradient_));
    return {};
  }

 private:
  struct Sums {
    Tensor partial;
    Tensor sums;
    Tensor exchanged;
  };
  Sums allocate_sums(Planner& planner) const {
    return {.partial = planner.allocate_values(shape_.partial_floats(), ElementType::f32),
            .sums = planner.allocate_values(2 * shape_.width, ElementType::f32),
            .exchanged = planner.allocate_values(1 + shape_.width, ElementType::f32)};
  }

  BatchNormMemory memory_of(const Step& step, const Sums& sums) const {
    BatchNormMemory memory = parameters_;
    memory.mean = step.data<float>(statistics_);
    memory.inverse = memory.mean + shape_.width;
    memory.one_over_n = memory.inverse + shape_.width;
    memory.partial = step.data<float>(sums.partial);
    memory.sums = step.data<float>(sums.sums);
    memory.exchanged = step.data<float>(sums.exchanged);
    return memory;
  }

  Phase phase_;
  BatchNormShape shape_;
  BatchNormMemory parameters_;  // those only
  float* weight_gradient_ = nullptr;
  float* bias_gradient_ = nullptr;
  Tensor input_;
  Tensor output_;
  Tensor statistics_;
  Sums forward_sums_;
  Sums backward_sums_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_batch_norm(Planner& planner, const std::string& name, const BatchNorm& norm,
                                const Tensor& input, Ending ending) {
  auto operation = std::make_unique<BatchNormOperation>(planner, name, norm, input, ending);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

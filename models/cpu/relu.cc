// y = max(x, 0), in place where nobody needs x.
#include <algorithm>

#include "base/multiversion.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

constexpr std::int64_t kChunk = 32768;  // floats; what one thread takes at a time

// NaN stays NaN.
REGATTA_MULTIVERSION
void clamp(const float* values, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = values[i] < 0 ? 0 : values[i];
  }
}

// dx = dy where y > 0, else 0 · dy, so that a NaN stays one.
REGATTA_MULTIVERSION
void mask_by_sign(const float* outputs, const float* gradients, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = gradients[i] * (outputs[i] > 0 ? 1.0F : 0.0F);
  }
}

class ReluOperation final : public Operation {
 public:
  ReluOperation(Planner& planner, const Tensor& input, ReluForward forward)
      : forward_needed_(forward == ReluForward::needed), input_(input) {
    planner.use(input_);
    output_ = !forward_needed_ || input_.may_overwrite ? planner.view(input_, input_.shape, input_.layout)
                                                       : planner.allocate(input_.shape, input_.layout);
    output_.needs_gradient = input_.needs_gradient;
    output_.may_overwrite = false;  // backward looks at the signs
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    planner.use(output_);
    output_gradient_ = planner.gradient_like(output_, reorders_);
    input_gradient_ =
        output_gradient_.may_overwrite ? output_gradient_ : planner.allocate(output_.shape, output_.layout);
    planner.set_gradient(input_, input_gradient_);
  }

  Status forward(const Step& step) override {
    if (forward_needed_) {
      for_chunks(step, [&](int lane, std::int64_t begin, std::int64_t size) {
        clamp(input_.data(lane) + begin, size, output_.data(lane) + begin);
      });
    }
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    for_chunks(step, [&](int lane, std::int64_t begin, std::int64_t size) {
      mask_by_sign(output_.data(lane) + begin, output_gradient_.data(lane) + begin, size,
                   input_gradient_.data(lane) + begin);
    });
    return {};
  }

 private:
  template <class Function>
  void for_chunks(const Step& step, const Function& function) const {
    const std::int64_t floats = output_.floats();
    step.for_active_lanes([&](int lane) {
      parallel_for((floats + kChunk - 1) / kChunk, step.threads, [&](std::int64_t chunk) {
        function(lane, chunk * kChunk, std::min(kChunk, floats - chunk * kChunk));
      });
    });
  }

  bool forward_needed_;
  Tensor input_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  CallSequence reorders_;
};

}  // namespace

Planned plan_relu(Planner& planner, const Tensor& input, ReluForward forward) {
  auto operation = std::make_unique<ReluOperation>(planner, input, forward);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

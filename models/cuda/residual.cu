// Where a residual block's input splits into body and shortcut, and where the two are added. He et al. 2016.
#include "models/cuda/map_elements.h"
#include "models/cuda/operations.h"

namespace regatta::cuda {
namespace {

struct Add {
  __device__ float operator()(float left, float right) const { return left + right; }
};

struct AddThenRelu {
  __device__ float operator()(float left, float right) const {
    const float sum = left + right;
    return sum < 0 ? 0.0F : sum;
  }
};

// left + right, then what `function` adds to that.
template <class Function>
void add(const Step& step, const Function& function, const Tensor& left, const Tensor& right,
         const Tensor& sum) {
  with_element(sum.type, [&](auto element) {
    using Element = decltype(element);
    map_elements(step.stream, sum.size(), function, step.data<Element>(sum), step.data<const Element>(left),
                 step.data<const Element>(right));
  });
}

class ForkOperation final : public Operation {
 public:
  ForkOperation(Planner& planner, Tensor input)
      : input_(std::move(input)),
        body_(planner.view(input_, input_.shape)),
        shortcut_(planner.view(input_, input_.shape)) {
    body_.shortcut = shortcut_.id;
  }

  const Tensor& body() const { return body_; }
  const Tensor& shortcut() const { return shortcut_; }

  Status plan_backward(Planner& planner) override {
    body_gradient_ = planner.gradient(body_);
    if (body_gradient_.has_shortcut_gradient) {
      planner.set_gradient(input_, planner.view(body_gradient_, input_.shape));
      return {};
    }
    shortcut_gradient_ = planner.gradient(shortcut_);
    planner.use(body_gradient_);
    planner.use(shortcut_gradient_);
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step&) override { return {}; }

  Status backward(const Step& step) override {
    if (!body_gradient_.has_shortcut_gradient) {
      add(step, Add(), body_gradient_, shortcut_gradient_, input_gradient_);
    }
    return {};
  }

 private:
  Tensor input_;
  Tensor body_;
  Tensor shortcut_;
  Tensor body_gradient_;
  Tensor shortcut_gradient_;
  Tensor input_gradient_;
};

class AddOperation final : public Operation {
 public:
  AddOperation(Planner& planner, Tensor body, Tensor shortcut, Ending ending)
      : body_(std::move(body)), shortcut_(std::move(shortcut)), ending_(ending) {
    CHECK(body_.size() == shortcut_.size() && body_.type == shortcut_.type);
    planner.use(body_);
    planner.use(shortcut_);
    output_ = planner.allocate_like(body_, body_.type);
    output_.needs_gradient = body_.needs_gradient || shortcut_.needs_gradient;
    if (ending == Ending::none) {
      output_.late_sum = std::make_shared<LateSum>(LateSum{.left = body_, .right = shortcut_});
    }
  }

  const Tensor& output() const { return output_; }

  // Both sides read the one gradient: no operation writes over a gradient that it takes.
  Status plan_backward(Planner& planner) override {
    const Tensor gradient = planner.gradient(output_);
    planner.use(gradient);
    planner.set_gradient(body_, gradient);
    planner.set_gradient(shortcut_, gradient);
    return {};
  }

  Status forward(const Step& step) override {
    if (output_.late_sum && output_.late_sum->is_taken) {
      return {};
    }
    if (ending_ == Ending::relu) {
      add(step, AddThenRelu(), body_, shortcut_, output_);
    } else {
      add(step, Add(), body_, shortcut_, output_);
    }
    return {};
  }

  Status backward(const Step&) override { return {}; }

 private:
  Tensor body_;
  Tensor shortcut_;
  Ending ending_;
  Tensor output_;
};

}  // namespace

PlannedFork plan_fork(Planner& planner, const Tensor& input) {
  auto operation = std::make_unique<ForkOperation>(planner, input);
  Tensor body = operation->body();
  Tensor shortcut = operation->shortcut();
  return {std::move(operation), std::move(body), std::move(shortcut)};
}

Result<Planned> plan_add(Planner& planner, const Tensor& body, const Tensor& shortcut, Ending ending) {
  auto operation = std::make_unique<AddOperation>(planner, body, shortcut, ending);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

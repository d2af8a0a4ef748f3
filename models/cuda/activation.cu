// Element by element. What relu, tanh and sigmoid need for backward is their output, so an operation of
// weights may apply a relu; gelu needs its input.
#include "models/cuda/map_elements.h"
#include "models/cuda/operations.h"

namespace regatta::cuda {
namespace {

using Kind = Activation::Kind;

// forward(x), and backward(kept, dy) where `kept` is gelu's input, the output of the others. NaN stays NaN.
struct Relu {
  struct Forward {
    __device__ float operator()(float x) const { return x < 0 ? 0.0F : x; }
  };
  struct Backward {
    __device__ float operator()(float y, float dy) const { return y > 0 || dy != dy ? dy : 0.0F; }
  };
};

// x Φ(x);  dx = dy (Φ(x) + x φ(x))
struct Gelu {
  static constexpr float kRootHalf = 0.70710678118654752F;
  static constexpr float kDensityAtZero = 0.39894228040143268F;
  static __device__ float distribution(float x) { return 0.5F * erfcf(-x * kRootHalf); }
  struct Forward {
    __device__ float operator()(float x) const { return x * distribution(x); }
  };
  struct Backward {
    __device__ float operator()(float x, float dy) const {
      return dy * (distribution(x) + x * kDensityAtZero * expf(-0.5F * x * x));
    }
  };
};

struct Tanh {
  struct Forward {
    __device__ float operator()(float x) const { return tanhf(x); }
  };
  struct Backward {
    __device__ float operator()(float y, float dy) const { return dy * (1 - y * y); }
  };
};

struct Sigmoid {
  struct Forward {
    __device__ float operator()(float x) const { return 1 / (1 + expf(-x)); }
  };
  struct Backward {
    __device__ float operator()(float y, float dy) const { return dy * y * (1 - y); }
  };
};

template <class Function>
void with_kind(Kind kind, const Function& function) {
  switch (kind) {
    case Kind::relu:
      return function(Relu());
    case Kind::gelu:
      return function(Gelu());
    case Kind::tanh:
      return function(Tanh());
    case Kind::sigmoid:
      return function(Sigmoid());
  }
}

class ActivationOperation final : public Operation {
 public:
  ActivationOperation(Planner& planner, Kind kind, const Tensor& input, ActivationForward forward)
      : kind_(kind), forward_(forward), input_(input) {
    planner.use(input_);
    output_ = forward == ActivationForward::applied ? planner.view(input_, input_.shape)
                                                    : planner.allocate_like(input_, input_.type);
    output_.needs_gradient = input_.needs_gradient;
    output_.is_relu_output = kind == Kind::relu;
    CHECK(forward == ActivationForward::needed || kind != Kind::gelu, "gelu's backward needs its input");
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    if (output_gradient_.is_masked) {
      input_gradient_ = planner.view(output_gradient_, input_.shape);
      input_gradient_.is_masked = false;  // by whatever relu `input_` may come from
      planner.set_gradient(input_, input_gradient_);
      return {};
    }
    planner.use(kept());
    planner.use(output_gradient_);
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    if (forward_ == ActivationForward::needed) {
      with_kind(kind_, [&](auto kind) {
        with_element(input_.type, [&](auto element) {
          using Element = decltype(element);
          map_elements(step.stream, input_.size(), typename decltype(kind)::Forward(),
                       step.data<Element>(output_), step.data<const Element>(input_));
        });
      });
    }
    return {};
  }

  Status backward(const Step& step) override {
    if (output_gradient_.is_masked) {
      return {};
    }
    with_kind(kind_, [&](auto kind) {
      with_element(input_.type, [&](auto element) {
        using Element = decltype(element);
        map_elements(step.stream, input_.size(), typename decltype(kind)::Backward(),
                     step.data<Element>(input_gradient_), step.data<const Element>(kept()),
                     step.data<const Element>(output_gradient_));
      });
    });
    return {};
  }

 private:
  const Tensor& kept() const { return kind_ == Kind::gelu ? input_ : output_; }

  Kind kind_;
  ActivationForward forward_;
  Tensor input_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_activation(Planner& planner, const Activation& activation, const Tensor& input,
                                ActivationForward forward) {
  auto operation = std::make_unique<ActivationOperation>(planner, activation.kind, input, forward);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

// Element by element, in place where nobody needs x. What relu, tanh and sigmoid need for backward is their
// output, so an operation of weights may apply them; gelu needs its input.
#include <algorithm>

#include "base/multiversion.h"
#include "base/vector_math.h"
#include "models/cpu/bfloat16.h"
#include "models/cpu/channel_layout.h"
#include "models/cpu/gelu_kernels.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

using Kind = Activation::Kind;

constexpr std::int64_t kChunk = 16384;  // elements; what one thread takes at a time

// NaN stays NaN.
REGATTA_MULTIVERSION
void relu(const float* values, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = values[i] < 0 ? 0 : values[i];
  }
}

// The same on the bits.
REGATTA_MULTIVERSION
void relu(const Bfloat16* values, std::int64_t size, Bfloat16* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const std::uint16_t value = values[i].bits;
    const bool is_negative = value >= 0x8000 && value <= 0xff80;  // to -infinity; above it are NaNs
    results[i].bits = is_negative ? static_cast<std::uint16_t>(0) : value;
  }
}

REGATTA_MULTIVERSION
void tanh(const float* values, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = vector_tanh(values[i]);
  }
}

REGATTA_MULTIVERSION
void sigmoid(const float* values, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = vector_sigmoid(values[i]);
  }
}

// dx = dy where y > 0, else 0 · dy, so that a NaN stays one.
REGATTA_MULTIVERSION
void relu_backward(const float* outputs, const float* gradients, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = gradients[i] * (outputs[i] > 0 ? 1.0F : 0.0F);
  }
}

// The same on the bits: dy where y > 0 or dy is NaN, else 0.
REGATTA_MULTIVERSION
void relu_backward(const Bfloat16* outputs, const Bfloat16* gradients, std::int64_t size, Bfloat16* results) {
  constexpr std::uint16_t kSign = 0x8000;
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    const std::uint16_t output = outputs[i].bits;
    const std::uint16_t gradient = gradients[i].bits;
    const bool is_nan = (gradient & 0x7fff) > 0x7f80;
    const bool passes = (output != 0 && (output & kSign) == 0) || is_nan;
    results[i].bits = passes ? gradient : static_cast<std::uint16_t>(0);
  }
}

// dx = dy (1 - y²)
REGATTA_MULTIVERSION
void tanh_backward(const float* outputs, const float* gradients, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = gradients[i] * (1 - outputs[i] * outputs[i]);
  }
}

// dx = dy y (1 - y)
REGATTA_MULTIVERSION
void sigmoid_backward(const float* outputs, const float* gradients, std::int64_t size, float* results) {
#pragma omp simd
  for (std::int64_t i = 0; i < size; ++i) {
    results[i] = gradients[i] * outputs[i] * (1 - outputs[i]);
  }
}

struct Kernels {
  void (*forward)(const float* values, std::int64_t size, float* results);
  // `kept` is the input of gelu, the output of the others.
  void (*backward)(const float* kept, const float* gradients, std::int64_t size, float* results);
};

Kernels kernels_of(Kind kind) {
  switch (kind) {
    case Kind::relu:
      return {relu, relu_backward};
    case Kind::gelu:
      return {gelu, gelu_backward};
    case Kind::tanh:
      return {tanh, tanh_backward};
    case Kind::sigmoid:
      return {sigmoid, sigmoid_backward};
  }
  check_failed("a known activation", __FILE__, __LINE__);
}

class ActivationOperation final : public Operation {
 public:
  ActivationOperation(Planner& planner, Kind kind, const Tensor& input, ActivationForward forward)
      : kernels_(kernels_of(kind)),
        keeps_input_(kind == Kind::gelu && planner.phase() == Phase::train),
        forward_needed_(forward == ActivationForward::needed),
        input_(input) {
    planner.use(input_);
    const bool in_place = !forward_needed_ || (input_.may_overwrite && !keeps_input_);
    output_ = in_place ? planner.view(input_, input_.shape, input_.layout)
                       : planner.allocate(input_.shape, input_.layout);
    output_.needs_gradient = input_.needs_gradient;
    output_.may_overwrite = keeps_input_;  // else backward reads it
    if (kind == Kind::sigmoid && forward_needed_ && input_.shape.size() == 3) {
      padded_ = channel_layout(input_.layout);
    }
    CHECK(input_.type() == ElementType::f32 || kind == Kind::relu);
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    planner.use(kept());
    output_gradient_ = planner.gradient_like(output_, reorders_);
    input_gradient_ =
        output_gradient_.may_overwrite ? output_gradient_ : planner.allocate(output_.shape, output_.layout);
    planner.set_gradient(input_, input_gradient_);
  }

  Status forward(const Step& step) override {
    if (forward_needed_) {
      for_chunks(step, [&](int lane, std::int64_t begin, std::int64_t size) {
        if (output_.type() == ElementType::bf16) {
          relu(input_.elements<Bfloat16>(lane) + begin, size, output_.elements<Bfloat16>(lane) + begin);
        } else {
          kernels_.forward(input_.data(lane) + begin, size, output_.data(lane) + begin);
        }
      });
      step.for_active_lanes([&](int lane) { clear_padding(output_.data(lane)); });
    }
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    for_chunks(step, [&](int lane, std::int64_t begin, std::int64_t size) {
      if (output_.type() == ElementType::bf16) {
        relu_backward(output_.elements<Bfloat16>(lane) + begin,
                      output_gradient_.elements<Bfloat16>(lane) + begin, size,
                      input_gradient_.elements<Bfloat16>(lane) + begin);
      } else {
        kernels_.backward(kept().data(lane) + begin, output_gradient_.data(lane) + begin, size,
                          input_gradient_.data(lane) + begin);
      }
    });
    return {};
  }

 private:
  const Tensor& kept() const { return keeps_input_ ? input_ : output_; }

  template <class Function>
  void for_chunks(const Step& step, const Function& function) const {
    const std::int64_t size = output_.element_count();
    step.for_active_lanes([&](int lane) {
      parallel_for((size + kChunk - 1) / kChunk, step.threads, [&](std::int64_t chunk) {
        function(lane, chunk * kChunk, std::min(kChunk, size - chunk * kChunk));
      });
    });
  }

  // The channels that fill up a block must stay zero, and sigmoid(0) is not.
  void clear_padding(float* values) const {
    const std::int64_t extra = padded_.padded_channels() - padded_.channels;
    for (std::int64_t row = 0; extra > 0 && row < padded_.rows; ++row) {
      float* const last = values + (row + 1) * padded_.row_floats() - padded_.pixels * padded_.block;
      for (std::int64_t pixel = 0; pixel < padded_.pixels; ++pixel) {
        std::fill_n(last + (pixel + 1) * padded_.block - extra, extra, 0.0F);
      }
    }
  }

  Kernels kernels_;
  bool keeps_input_;
  bool forward_needed_;
  ChannelLayout padded_;  // of images, where zero does not stay zero
  Tensor input_;
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
  CallSequence reorders_;
};

}  // namespace

dnnl::post_ops ending_operations(Ending ending) {
  dnnl::post_ops after;
  if (ending) {
    CHECK(*ending != Kind::gelu);
    after.append_eltwise(1,
                         *ending == Kind::relu   ? dnnl::algorithm::eltwise_relu
                         : *ending == Kind::tanh ? dnnl::algorithm::eltwise_tanh
                                                 : dnnl::algorithm::eltwise_logistic,
                         0, 0);
  }
  return after;
}

Planned plan_activation(Planner& planner, const Activation& activation, const Tensor& input,
                        ActivationForward forward) {
  auto operation = std::make_unique<ActivationOperation>(planner, activation.kind, input, forward);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

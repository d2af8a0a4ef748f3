// Convolutions on a GPU: the plans of all three directions, made once for a shape and then only executed.
// All lanes are one convolution, whose groups keep them apart.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/result.h"
#include "models/cuda/dnn_context.h"
#include "models/cuda/element_type.h"

struct CUstream_st;  // cudaStream_t points to one

namespace regatta {

// Channels, filters and groups are totals over the lanes. Memory is dense and row-major, its pointers
// multiples of kConvolutionAlignment bytes:
//   x, dx  [rows, height, width, channels]      a lane's channels stand next to each other
//   y, dy  [rows, output_height, output_width, filters]
//   w, dw  [filters, kernel, kernel, channels / groups]
// Where lanes share the input, `channels` are those of the input and groups is 1: one wide convolution.
struct ConvolutionShape {
  std::int64_t rows = 0;
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t filters = 0;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t padding = 0;  // zeros on each side
  std::int64_t groups = 1;
  ElementType type = ElementType::f32;  // bf16 exactly where math is bf16
  MathMode math = MathMode::fp32;

  std::int64_t output_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t output_width() const { return (width + 2 * padding - kernel) / stride + 1; }
};

// "3×3 convolution of 512 rows of 64×32×32 into 128 filters, stride 2, padding 1, 8 groups, bf16"
std::string describe(const ConvolutionShape& shape);

// CHECKs what planning takes for granted; models/layers.h has refused a user's mistakes long before.
void check_shape(const ConvolutionShape& shape);

inline constexpr std::int64_t kConvolutionAlignment = 16;

struct ConvolutionOptions {
  bool bias = false;                  // y = relu(x * w + bias), where cuDNN has a kernel for it
  bool relu = false;                  // a NaN may become 0 here: look for divergence in losses and gradients
  bool needs_weight_gradient = true;  // false for evaluation
  bool needs_input_gradient = true;   // false for the first layer
};

// What planning has settled, for the caller to act on and for audits to print.
struct ConvolutionPlan {
  bool bias_fused = false;  // else the caller adds the bias (and applies relu) in a kernel of its own
  bool relu_fused = false;
  ElementType weight_gradient_type = ElementType::f32;   // of dw: bf16 where cuDNN sums into nothing else
  std::int64_t workspace_bytes = 0;                      // the largest of the directions
  std::string forward, backward_data, backward_weights;  // the engine of each, in words; empty: not planned
};

// The three directions only enqueue work on `stream`: no allocation on the device, no waiting, so they may be
// captured in a CUDA graph after each has run once outside of it (kernels are loaded then). Results are the
// same bits each time. Concurrent streams need convolutions of their own, with workspaces of their own.
class Convolution {
 public:
  virtual ~Convolution() = default;

  const ConvolutionPlan& plan() const { return plan_; }
  std::int64_t workspace_bytes() const { return plan_.workspace_bytes; }
  ElementType weight_gradient_type() const { return plan_.weight_gradient_type; }

  // Lends workspace_bytes() of device memory, aligned to 256 bytes, for all calls to come; their contents are
  // free for others between calls. Needed before the first call unless workspace_bytes() is 0.
  virtual void set_workspace(void* memory) = 0;

  // y = x * w, then what plan() says is fused. `bias` is [filters] in f32; null unless the bias is fused.
  virtual Status forward(CUstream_st* stream, const void* x, const void* w, const float* bias, void* y) = 0;
  // dx is overwritten. Only where needs_input_gradient was asked for.
  virtual Status backward_data(CUstream_st* stream, const void* dy, const void* w, void* dx) = 0;
  // dw, in weight_gradient_type(), is overwritten. The bias's gradient is the caller's work.
  virtual Status backward_weights(CUstream_st* stream, const void* x, const void* dy, void* dw) = 0;

 protected:
  explicit Convolution(ConvolutionPlan plan) : plan_(std::move(plan)) {}

 private:
  ConvolutionPlan plan_;
};

// Fails with a sentence where cuDNN has no engine for a direction within the limits of `context`.
Result<std::unique_ptr<Convolution>> plan_convolution(DnnContext& context, const ConvolutionShape& shape,
                                                      const ConvolutionOptions& options);

}  // namespace regatta

// Convolutions for the emulated device: plain loops in place of cuDNN, behind the same interface. They fuse
// what cuDNN 9.19 fuses on an H200, give the gradients' types that it gives, and spoil the workspace they
// were lent.
#include "models/cuda/convolution.h"

#include <cuda_runtime.h>

#include <cstring>

#include "emulated_cuda/plain_convolution.h"
#include "models/cuda/launch.h"

namespace regatta {
namespace {

constexpr std::int64_t kWorkspaceBytes = 1024;

template <class T>
void forward_kernel(ConvolutionShape shape, const T* x, const T* w, const float* bias, bool relu, T* y,
                    std::byte* workspace) {
  std::memset(workspace, 0xff, kWorkspaceBytes);
  plain_forward(shape, x, w, bias, relu, y);
}

template <class T>
void backward_data_kernel(ConvolutionShape shape, const T* dy, const T* w, T* dx, std::byte* workspace) {
  std::memset(workspace, 0xff, kWorkspaceBytes);
  plain_backward_data(shape, dy, w, dx);
}

template <class T, class Gradient>
void backward_weights_kernel(ConvolutionShape shape, const T* x, const T* dy, Gradient* dw,
                             std::byte* workspace) {
  std::memset(workspace, 0xff, kWorkspaceBytes);
  plain_backward_weights(shape, x, dy, dw);
}

template <class T>
T* as(void* memory) {
  CHECK(reinterpret_cast<std::uintptr_t>(memory) % kConvolutionAlignment == 0,
        "cuDNN asks for aligned memory");
  return static_cast<T*>(memory);
}
template <class T>
const T* as(const void* memory) {
  return as<T>(const_cast<void*>(memory));
}

Status launched() {
  const cudaError_t error = cudaPeekAtLastError();
  return error == cudaSuccess ? Status() : failure(cudaGetErrorString(error));
}

const cuda::LaunchShape kOneThread = {.grid = dim3(1), .block = dim3(1)};

template <class T>
class EmulatedConvolution final : public Convolution {
 public:
  EmulatedConvolution(const ConvolutionPlan& plan, const ConvolutionShape& shape)
      : Convolution(plan), shape_(shape) {}

  void set_workspace(void* memory) override { workspace_ = as<std::byte>(memory); }

  Status forward(cudaStream_t stream, const void* x, const void* w, const float* bias, void* y) override {
    CHECK((bias != nullptr) == plan().bias_fused, "a bias is handed over exactly where it is fused");
    cuda::launch(&forward_kernel<T>, kOneThread, stream, shape_, as<T>(x), as<T>(w), as<float>(bias),
                 plan().relu_fused, as<T>(y), workspace());
    return launched();
  }

  Status backward_data(cudaStream_t stream, const void* dy, const void* w, void* dx) override {
    CHECK(!plan().backward_data.empty(), "this direction was not planned");
    cuda::launch(&backward_data_kernel<T>, kOneThread, stream, shape_, as<T>(dy), as<T>(w), as<T>(dx),
                 workspace());
    return launched();
  }

  Status backward_weights(cudaStream_t stream, const void* x, const void* dy, void* dw) override {
    CHECK(!plan().backward_weights.empty(), "this direction was not planned");
    if (weight_gradient_type() == ElementType::f32) {
      cuda::launch(&backward_weights_kernel<T, float>, kOneThread, stream, shape_, as<T>(x), as<T>(dy),
                   as<float>(dw), workspace());
    } else {
      cuda::launch(&backward_weights_kernel<T, Bfloat16>, kOneThread, stream, shape_, as<T>(x), as<T>(dy),
                   as<Bfloat16>(dw), workspace());
    }
    return launched();
  }

 private:
  std::byte* workspace() const {
    CHECK(workspace_ != nullptr, "no workspace was lent");
    return workspace_;
  }

  ConvolutionShape shape_;
  std::byte* workspace_ = nullptr;
};

class EmulatedContext final : public DnnContext {};

}  // namespace

Result<std::unique_ptr<DnnContext>> make_dnn_context(std::int64_t workspace_limit_bytes) {
  if (workspace_limit_bytes < kWorkspaceBytes) {
    return failure("the emulated convolutions need a workspace");
  }
  return std::unique_ptr<DnnContext>(std::make_unique<EmulatedContext>());
}

Result<std::unique_ptr<Convolution>> plan_convolution(DnnContext&, const ConvolutionShape& shape,
                                                      const ConvolutionOptions& options) {
  check_shape(shape);
  const bool bf16 = shape.type == ElementType::bf16;
  const bool fuses = !(bf16 && shape.groups > 1 && shape.groups == shape.channels);
  const bool sums_leave_as_f32 = !bf16 || (shape.groups == 1 && shape.channels % 2 == 0);
  ConvolutionPlan plan = {
      .bias_fused = fuses && options.bias,
      .relu_fused = fuses && options.relu,
      .weight_gradient_type = sums_leave_as_f32 ? ElementType::f32 : ElementType::bf16,
      .workspace_bytes = kWorkspaceBytes,
      .forward = "loops",
      .backward_data = options.needs_input_gradient ? "loops" : "",
      .backward_weights = options.needs_weight_gradient ? "loops" : "",
  };
  if (bf16) {
    return std::unique_ptr<Convolution>(std::make_unique<EmulatedConvolution<Bfloat16>>(plan, shape));
  }
  return std::unique_ptr<Convolution>(std::make_unique<EmulatedConvolution<float>>(plan, shape));
}

}  // namespace regatta

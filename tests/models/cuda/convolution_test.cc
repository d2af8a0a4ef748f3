// Every direction of a convolution against plain loops, on the device there is: a GPU, or the emulated one.
// Small and odd shapes, outputs and workspaces full of NaN beforehand.
#include "models/cuda/convolution.h"

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "emulated_cuda/device_arrays.h"
#include "emulated_cuda/plain_convolution.h"
#include "emulated_cuda/test_values.h"

namespace regatta {
namespace {

double tolerance(MathMode math) {
  return math == MathMode::fp32 ? 1e-5 : math == MathMode::tf32 ? 1e-3 : 1e-2;
}

class OnTheDevice : public testing::TestWithParam<MathMode> {
 protected:
  void SetUp() override {
    int devices = 0;
    if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
      GTEST_SKIP() << "no CUDA device";
    }
    auto made = make_dnn_context(std::int64_t{1} << 30);
    ASSERT_TRUE(made.ok()) << made.error().message;
    context_ = std::move(*made);
  }

  std::unique_ptr<DnnContext> context_;
};

// The arrays of one shape on the device and on the host.
template <class T>
struct Problem {
  explicit Problem(const ConvolutionShape& of)
      : shape(of),
        x(as_elements<T>(values(elements_of_x(of), 1))),
        w(as_elements<T>(values(elements_of_w(of), 2))),
        dy(as_elements<T>(values(elements_of_y(of), 3))),
        bias(values(of.filters, 4)),
        device_x(x),
        device_w(w),
        device_dy(dy),
        device_bias(bias) {}

  ConvolutionShape shape;
  std::vector<T> x, w, dy;
  std::vector<float> bias;
  DeviceArray<T> device_x, device_w, device_dy;
  DeviceArray<float> device_bias;
};

DeviceArray<float> workspace_for(const Convolution& convolution) {
  return DeviceArray<float>(nans<float>(convolution.workspace_bytes() / 4 + 1));
}

template <class T>
void check_forward(DnnContext& context, const Problem<T>& problem, const ConvolutionOptions& options) {
  auto planned = plan_convolution(context, problem.shape, options);
  ASSERT_TRUE(planned.ok()) << planned.error().message;
  Convolution& convolution = **planned;
  const ConvolutionPlan& plan = convolution.plan();
  const DeviceArray<float> workspace = workspace_for(convolution);
  convolution.set_workspace(workspace.get());
  const DeviceArray<T> y(nans<T>(elements_of_y(problem.shape)));
  const DeviceStream stream;
  const Status status = convolution.forward(stream, problem.device_x.get(), problem.device_w.get(),
                                            plan.bias_fused ? problem.device_bias.get() : nullptr, y.get());
  ASSERT_TRUE(status.ok()) << status.error().message;
  stream.finish();
  std::vector<T> expected(problem.dy.size());
  plain_forward(problem.shape, problem.x.data(), problem.w.data(),
                plan.bias_fused ? problem.bias.data() : nullptr, plan.relu_fused, expected.data());
  EXPECT_LE(difference(y.read(), expected), tolerance(problem.shape.math)) << plan.forward;
}

template <class T, class Gradient>
void check_weight_gradient(Convolution& convolution, const Problem<T>& problem) {
  const DeviceStream stream;
  const DeviceArray<Gradient> dw(nans<Gradient>(elements_of_w(problem.shape)));
  const Status status =
      convolution.backward_weights(stream, problem.device_x.get(), problem.device_dy.get(), dw.get());
  ASSERT_TRUE(status.ok()) << status.error().message;
  stream.finish();
  std::vector<Gradient> expected(problem.w.size());
  plain_backward_weights(problem.shape, problem.x.data(), problem.dy.data(), expected.data());
  EXPECT_LE(difference(dw.read(), expected), tolerance(problem.shape.math))
      << convolution.plan().backward_weights;
}

template <class T>
void check_backward(DnnContext& context, const Problem<T>& problem) {
  auto planned = plan_convolution(context, problem.shape, {});
  ASSERT_TRUE(planned.ok()) << planned.error().message;
  Convolution& convolution = **planned;
  const DeviceArray<float> workspace = workspace_for(convolution);
  convolution.set_workspace(workspace.get());
  const DeviceArray<T> dx(nans<T>(elements_of_x(problem.shape)));
  const DeviceStream stream;
  const Status status =
      convolution.backward_data(stream, problem.device_dy.get(), problem.device_w.get(), dx.get());
  ASSERT_TRUE(status.ok()) << status.error().message;
  stream.finish();
  std::vector<T> expected(problem.x.size());
  plain_backward_data(problem.shape, problem.dy.data(), problem.w.data(), expected.data());
  EXPECT_LE(difference(dx.read(), expected), tolerance(problem.shape.math))
      << convolution.plan().backward_data;
  if (convolution.weight_gradient_type() == ElementType::f32) {
    check_weight_gradient<T, float>(convolution, problem);
  } else {
    check_weight_gradient<T, Bfloat16>(convolution, problem);
  }
}

// 1 lane and several; the last is a first layer, whose input the lanes share.
std::vector<ConvolutionShape> odd_shapes(MathMode math) {
  std::vector<ConvolutionShape> shapes = {
      {.rows = 3, .channels = 8, .height = 7, .width = 5, .filters = 16, .kernel = 3, .padding = 1},
      {.rows = 2,
       .channels = 6,
       .height = 9,
       .width = 7,
       .filters = 10,
       .kernel = 5,
       .stride = 2,
       .padding = 1},
      {.rows = 3, .channels = 16, .height = 8, .width = 8, .filters = 32, .kernel = 1, .stride = 2},
      {.rows = 2,
       .channels = 24,
       .height = 7,
       .width = 7,
       .filters = 48,
       .kernel = 3,
       .padding = 1,
       .groups = 3},
      {.rows = 2,
       .channels = 64,
       .height = 8,
       .width = 6,
       .filters = 64,
       .kernel = 3,
       .padding = 1,
       .groups = 8},
      {.rows = 2, .channels = 15, .height = 6, .width = 5, .filters = 25, .kernel = 3, .groups = 5},
      {.rows = 2,
       .channels = 12,
       .height = 7,
       .width = 7,
       .filters = 12,
       .kernel = 3,
       .padding = 1,
       .groups = 12},
      {.rows = 5, .channels = 1, .height = 11, .width = 9, .filters = 24, .kernel = 3, .padding = 1},
  };
  for (ConvolutionShape& shape : shapes) {
    shape.math = math;
    shape.type = element_type(math);
  }
  return shapes;
}

template <class T>
void check_shapes(DnnContext& context, MathMode math) {
  for (const ConvolutionShape& shape : odd_shapes(math)) {
    SCOPED_TRACE(describe(shape));
    const Problem<T> problem(shape);
    check_forward(context, problem, {});
    check_forward(context, problem, {.bias = true});
    check_forward(context, problem, {.bias = true, .relu = true});
    check_backward(context, problem);
  }
}

TEST_P(OnTheDevice, EveryDirectionEqualsPlainLoops) {
  if (element_type(GetParam()) == ElementType::bf16) {
    check_shapes<Bfloat16>(*context_, GetParam());
  } else {
    check_shapes<float>(*context_, GetParam());
  }
}

TEST_P(OnTheDevice, ADirectionCapturedInAGraphRunsWithWhatItsMemoryHoldsThen) {
  if (element_type(GetParam()) == ElementType::bf16) {
    GTEST_SKIP() << "the same for every type of element";
  }
  const Problem<float> problem(odd_shapes(GetParam()).front());
  auto planned = plan_convolution(*context_, problem.shape, {});
  ASSERT_TRUE(planned.ok()) << planned.error().message;
  Convolution& convolution = **planned;
  const DeviceArray<float> workspace = workspace_for(convolution);
  convolution.set_workspace(workspace.get());
  const DeviceArray<float> x(std::vector<float>(problem.x.size(), kNan));
  const DeviceArray<float> y(nans<float>(elements_of_y(problem.shape)));
  const DeviceStream stream;
  const auto run = [&] {
    const Status status = convolution.forward(stream, x.get(), problem.device_w.get(), nullptr, y.get());
    EXPECT_TRUE(status.ok()) << status.error().message;
  };
  run();
  stream.finish();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  run();
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaMemcpy(x.get(), problem.x.data(), problem.x.size() * sizeof(float), cudaMemcpyHostToDevice),
            cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(executable, stream), cudaSuccess);
  stream.finish();
  std::vector<float> expected(problem.dy.size());
  plain_forward<float>(problem.shape, problem.x.data(), problem.w.data(), nullptr, false, expected.data());
  EXPECT_LE(difference(y.read(), expected), tolerance(GetParam()));
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
  EXPECT_EQ(cudaGraphDestroy(graph), cudaSuccess);
}

INSTANTIATE_TEST_SUITE_P(, OnTheDevice, testing::Values(MathMode::fp32, MathMode::tf32, MathMode::bf16),
                         [](const auto& math) { return std::string(describe(math.param)); });

}  // namespace
}  // namespace regatta

// Convolutions on cuDNN's graph API: each direction is a small graph, for which an engine is chosen once.
#include "models/cuda/convolution.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "models/cuda/convolution_graphs.h"
#include "models/cuda/cudnn_context.h"

namespace regatta {
namespace {

std::vector<std::int64_t> ids(const std::vector<Name>& names) {
  std::vector<std::int64_t> numbers;
  for (const Name name : names) {
    numbers.push_back(static_cast<std::int64_t>(name));
  }
  return numbers;
}

void* writable(const void* memory) { return const_cast<void*>(memory); }  // packs know no const

struct Calls {
  std::optional<CudnnCall> forward, backward_data, backward_weights;
};

class CudnnConvolution final : public Convolution {
 public:
  CudnnConvolution(ConvolutionPlan plan, cudnnHandle_t handle, const ConvolutionShape& shape, Calls calls)
      : Convolution(std::move(plan)), handle_(handle), shape_(shape), calls_(std::move(calls)) {}

  void set_workspace(void* memory) override { workspace_ = memory; }

  Status forward(cudaStream_t stream, const void* x, const void* w, const float* bias, void* y) override {
    std::vector<void*> pointers = {writable(x), writable(w), y};
    CHECK((bias != nullptr) == plan().bias_fused, "a bias is handed over exactly where it is fused");
    if (bias != nullptr) {
      pointers.push_back(writable(bias));
    }
    return run("forward", calls_.forward, stream, std::move(pointers));
  }

  Status backward_data(cudaStream_t stream, const void* dy, const void* w, void* dx) override {
    return run("backward to the input", calls_.backward_data, stream, {dx, writable(w), writable(dy)});
  }

  Status backward_weights(cudaStream_t stream, const void* x, const void* dy, void* dw) override {
    return run("backward to the weights", calls_.backward_weights, stream, {writable(x), dw, writable(dy)});
  }

 private:
  Status run(const char* direction, std::optional<CudnnCall>& call, cudaStream_t stream,
             std::vector<void*> pointers) {
    CHECK(handle_ != nullptr, "a convolution of an audit has no device to run on");
    CHECK(call.has_value(), "this direction was not planned");
    CHECK(workspace_ != nullptr || call->plan().workspace_bytes == 0, "no workspace was lent");
    const Status status = call->run(handle_, stream, workspace_, std::move(pointers));
    if (!status.ok()) {
      return failure(
          fmt::format("cuDNN could not run the {} ({}), {}: {}. Try another precision or fewer lanes.",
                      describe(shape_), direction, call->plan().engine, status.error().message));
    }
    return {};
  }

  cudnnHandle_t handle_;
  ConvolutionShape shape_;
  Calls calls_;
  void* workspace_ = nullptr;
};

Error no_engine(const ConvolutionShape& shape, const char* direction, const Error& error) {
  return failure(fmt::format(
      "cuDNN has no engine for the {} ({}): {}. Try another precision, another number of filters or "
      "lanes, a larger workspace, or device: cpu.",
      describe(shape), direction, error.message));
}

// For all convolutions of the shape.
Result<SharedPlan> plan_direction(CudnnContext& context, const ConvolutionShape& shape,
                                  const std::string& direction, const Result<CudnnOperations>& operations) {
  return context.plan(fmt::format("{} {}", direction, describe(shape)), operations,
                      {.tensor_cores = shape.math != MathMode::fp32});
}

// Settles what is fused: with fewer steps in the graph, more engines can run it.
Status settle_forward(CudnnContext& context, const ConvolutionShape& shape, const ConvolutionOptions& options,
                      ConvolutionPlan& plan, Calls& calls) {
  std::vector<Fusion> fusions;
  if (options.bias || options.relu) {
    fusions.push_back({options.bias, options.relu});
  }
  if (options.bias && options.relu) {
    fusions.push_back({.bias = true});
  }
  fusions.push_back({});
  Error refusal;
  for (const Fusion& fusion : fusions) {
    const std::string direction =
        fmt::format("forward{}{}", fusion.bias ? "+bias" : "", fusion.relu ? "+relu" : "");
    auto made = plan_direction(context, shape, direction, forward_graph(shape, fusion));
    if (!made.ok()) {
      refusal = made.error();
      continue;
    }
    plan.bias_fused = fusion.bias;
    plan.relu_fused = fusion.relu;
    std::vector<Name> names = {Name::x, Name::w, Name::y};
    if (fusion.bias) {
      names.push_back(Name::bias);
    }
    calls.forward.emplace(*made, ids(names));
    return {};
  }
  return no_engine(shape, "forward", refusal);
}

Status settle_backward_data(CudnnContext& context, const ConvolutionShape& shape, Calls& calls) {
  auto made = plan_direction(context, shape, "backward to the input", backward_data_graph(shape));
  if (!made.ok()) {
    return no_engine(shape, "backward to the input", made.error());
  }
  calls.backward_data.emplace(*made, ids({Name::x, Name::w, Name::y}));
  return {};
}

Status settle_backward_weights(CudnnContext& context, const ConvolutionShape& shape, ConvolutionPlan& plan,
                               Calls& calls) {
  plan.weight_gradient_type = ElementType::f32;
  auto made = plan_direction(context, shape, "backward to the weights",
                             backward_weights_graph(shape, ElementType::f32));
  if (!made.ok() && shape.type == ElementType::bf16) {
    plan.weight_gradient_type = ElementType::bf16;
    made = plan_direction(context, shape, "backward to bf16 weights",
                          backward_weights_graph(shape, ElementType::bf16));
  }
  if (!made.ok()) {
    return no_engine(shape, "backward to the weights", made.error());
  }
  calls.backward_weights.emplace(*made, ids({Name::x, Name::w, Name::y}));
  return {};
}

// Copies what the chosen engine says into the plan that callers see.
void record(const std::optional<CudnnCall>& call, std::string& engine, ConvolutionPlan& plan) {
  if (call.has_value()) {
    engine = call->plan().engine;
    plan.workspace_bytes = std::max(plan.workspace_bytes, call->plan().workspace_bytes);
  }
}

}  // namespace

Result<std::unique_ptr<Convolution>> plan_convolution(DnnContext& context, const ConvolutionShape& shape,
                                                      const ConvolutionOptions& options) {
  check_shape(shape);
  auto& cudnn = static_cast<CudnnContext&>(context);
  ConvolutionPlan plan;
  Calls calls;
  RETURN_IF_ERROR(settle_forward(cudnn, shape, options, plan, calls));
  if (options.needs_input_gradient) {
    RETURN_IF_ERROR(settle_backward_data(cudnn, shape, calls));
  }
  if (options.needs_weight_gradient) {
    RETURN_IF_ERROR(settle_backward_weights(cudnn, shape, plan, calls));
  }
  record(calls.forward, plan.forward, plan);
  record(calls.backward_data, plan.backward_data, plan);
  record(calls.backward_weights, plan.backward_weights, plan);
  return std::unique_ptr<Convolution>(
      std::make_unique<CudnnConvolution>(std::move(plan), cudnn.handle(), shape, std::move(calls)));
}

}  // namespace regatta

// Convolutions on cuDNN's graph API: each direction is a small graph, for which an engine is chosen once.
#include "models/cuda/convolution.h"

#include <fmt/format.h>

#include <array>
#include <optional>
#include <vector>

#include "models/cuda/cudnn_graph.h"

namespace regatta {
namespace {

class CudnnContext final : public ConvolutionContext {
 public:
  CudnnContext(CudnnDevice device, std::int64_t workspace_limit_bytes)
      : device_(std::move(device)), workspace_limit_bytes_(workspace_limit_bytes) {}
  CudnnContext(const CudnnContext&) = delete;
  CudnnContext& operator=(const CudnnContext&) = delete;
  ~CudnnContext() override {
    if (device_.handle != nullptr) {
      cudnnDestroy(device_.handle);
    }
  }

  const CudnnDevice& device() const { return device_; }
  std::int64_t workspace_limit_bytes() const { return workspace_limit_bytes_; }

 private:
  CudnnDevice device_;
  std::int64_t workspace_limit_bytes_;
};

// The tensors of the graphs, by the names under which their pointers are handed over.
enum class Name : std::int64_t { x = 1, w, y, bias, product, sum };

cudnnDataType_t data_type(ElementType type) {
  return type == ElementType::f32 ? CUDNN_DATA_FLOAT : CUDNN_DATA_BFLOAT16;
}

// cuDNN names the axes rows, channels, height, width; channels last is a matter of the strides.
class Tensors {
 public:
  explicit Tensors(const ConvolutionShape& shape) : shape_(shape) {}

  CudnnDescriptor x() const {
    return make(Name::x, data_type(shape_.type), {shape_.rows, shape_.channels, shape_.height, shape_.width});
  }
  CudnnDescriptor w(cudnnDataType_t type, Name name = Name::w) const {
    return make(name, type, {shape_.filters, shape_.channels / shape_.groups, shape_.kernel, shape_.kernel},
                name != Name::w);
  }
  CudnnDescriptor w() const { return w(data_type(shape_.type)); }
  CudnnDescriptor y() const { return make(Name::y, data_type(shape_.type), output()); }
  CudnnDescriptor bias() const { return make(Name::bias, CUDNN_DATA_FLOAT, {1, shape_.filters, 1, 1}); }
  // An output that only the next operation of the graph sees.
  CudnnDescriptor between(Name name) const { return make(name, CUDNN_DATA_FLOAT, output(), true); }

 private:
  using Sizes = std::array<std::int64_t, 4>;

  Sizes output() const {
    return {shape_.rows, shape_.filters, shape_.output_height(), shape_.output_width()};
  }

  static CudnnDescriptor make(Name name, cudnnDataType_t type, const Sizes& sizes, bool is_virtual = false) {
    const auto [rows, channels, height, width] = sizes;
    const Sizes strides = {channels * height * width, 1, channels * width, channels};
    CudnnDescriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
    tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<std::int64_t>(name))
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kConvolutionAlignment)
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes)
        .set(CUDNN_ATTR_TENSOR_STRIDES, strides)
        .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, is_virtual);
    (void)tensor.finalize();  // an error stays in the tensor, and the operation that takes it reports it
    return tensor;
  }

  ConvolutionShape shape_;
};

CudnnDescriptor window(const ConvolutionShape& shape) {
  const std::array<std::int64_t, 2> ones = {1, 1};
  const std::array<std::int64_t, 2> strides = {shape.stride, shape.stride};
  const std::array<std::int64_t, 2> zeros = {shape.padding, shape.padding};
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  CudnnDescriptor made(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  made.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode)
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, ones)
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, strides)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, zeros)
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, zeros);
  (void)made.finalize();  // as with tensors
  return made;
}

CudnnDescriptor pointwise_mode(cudnnPointwiseMode_t mode) {
  CudnnDescriptor made(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode)
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  (void)made.finalize();  // as with tensors
  return made;
}

// y = mode(x), or mode(x, b).
Result<CudnnDescriptor> pointwise(cudnnPointwiseMode_t mode, const CudnnDescriptor& x,
                                  const CudnnDescriptor* b, const CudnnDescriptor& y) {
  CudnnDescriptor made(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise_mode(mode))
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (b != nullptr) {
    made.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  }
  RETURN_IF_ERROR(made.finalize());
  return made;
}

// The attributes of a direction's operation, in the order: window, x, w, y, alpha, beta.
struct Direction {
  cudnnBackendDescriptorType_t type;
  std::array<cudnnBackendAttributeName_t, 6> attributes;
};

constexpr Direction kForward = {
    CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
    {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA}};
constexpr Direction kBackwardData = {
    CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
    {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA}};
constexpr Direction kBackwardWeights = {
    CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
    {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};

Result<CudnnDescriptor> convolve(const Direction& direction, const ConvolutionShape& shape,
                                 const CudnnDescriptor& x, const CudnnDescriptor& w,
                                 const CudnnDescriptor& y) {
  const auto& [window_name, x_name, w_name, y_name, alpha, beta] = direction.attributes;
  CudnnDescriptor made(direction.type);
  made.set(window_name, window(shape)).set(x_name, x).set(w_name, w).set(y_name, y);
  made.set(alpha, 1.0F).set(beta, 0.0F);
  RETURN_IF_ERROR(made.finalize());
  return made;
}

EngineRules rules_for(const CudnnContext& context, const ConvolutionShape& shape) {
  return {.tensor_cores = shape.math != MathMode::fp32,
          .workspace_limit_bytes = context.workspace_limit_bytes()};
}

Result<CudnnPlan> plan_forward(const CudnnContext& context, const ConvolutionShape& shape, bool bias,
                               bool relu) {
  const Tensors tensors(shape);
  std::vector<CudnnDescriptor> operations;
  CudnnDescriptor result = bias || relu ? tensors.between(Name::product) : tensors.y();
  ASSIGN_OR_RETURN(auto product, convolve(kForward, shape, tensors.x(), tensors.w(), result));
  operations.push_back(std::move(product));
  if (bias) {
    CudnnDescriptor sum = relu ? tensors.between(Name::sum) : tensors.y();
    const CudnnDescriptor addend = tensors.bias();
    ASSIGN_OR_RETURN(auto added, pointwise(CUDNN_POINTWISE_ADD, result, &addend, sum));
    operations.push_back(std::move(added));
    result = std::move(sum);
  }
  if (relu) {
    ASSIGN_OR_RETURN(auto clipped, pointwise(CUDNN_POINTWISE_RELU_FWD, result, nullptr, tensors.y()));
    operations.push_back(std::move(clipped));
  }
  return choose_plan(context.device(), operations, rules_for(context, shape));
}

Result<CudnnPlan> plan_backward_data(const CudnnContext& context, const ConvolutionShape& shape) {
  const Tensors tensors(shape);
  std::vector<CudnnDescriptor> operations;
  ASSIGN_OR_RETURN(auto product, convolve(kBackwardData, shape, tensors.x(), tensors.w(), tensors.y()));
  operations.push_back(std::move(product));
  return choose_plan(context.device(), operations, rules_for(context, shape));
}

// Sums of bf16 products leave cuDNN as f32 only through a copy that its engine writes at the end.
Result<CudnnPlan> plan_backward_weights(const CudnnContext& context, const ConvolutionShape& shape,
                                        ElementType result_type) {
  const Tensors tensors(shape);
  const bool copies = result_type != shape.type;
  const CudnnDescriptor result = tensors.w(data_type(result_type));
  const CudnnDescriptor sums = tensors.w(CUDNN_DATA_FLOAT, Name::product);
  std::vector<CudnnDescriptor> operations;
  ASSIGN_OR_RETURN(auto product,
                   convolve(kBackwardWeights, shape, tensors.x(), copies ? sums : result, tensors.y()));
  operations.push_back(std::move(product));
  if (copies) {
    ASSIGN_OR_RETURN(auto copied, pointwise(CUDNN_POINTWISE_IDENTITY, sums, nullptr, result));
    operations.push_back(std::move(copied));
  }
  return choose_plan(context.device(), operations, rules_for(context, shape));
}

// A plan and the pack of pointers of its last call, which is made anew only when they change.
class Call {
 public:
  Call(CudnnPlan plan, std::vector<Name> names) : plan_(std::move(plan)), pointers_(names.size()) {
    for (const Name name : names) {
      names_.push_back(static_cast<std::int64_t>(name));
    }
  }

  const CudnnPlan& plan() const { return plan_; }

  Status run(cudnnHandle_t handle, cudaStream_t stream, void* workspace, std::vector<void*> pointers) {
    if (pointers != pointers_ || workspace != workspace_ || pack_.raw() == nullptr) {
      pointers_ = std::move(pointers);
      workspace_ = workspace;
      pack_ = CudnnDescriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
      RETURN_IF_ERROR(pack_.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, names_)
                          .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                               static_cast<std::int64_t>(pointers_.size()), pointers_.data())
                          .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace_)
                          .finalize());
    }
    cudnnStatus_t status = cudnnSetStream(handle, stream);
    if (status == CUDNN_STATUS_SUCCESS) {
      status = cudnnBackendExecute(handle, plan_.plan.raw(), pack_.raw());
    }
    return status == CUDNN_STATUS_SUCCESS ? Status() : failure(cudnn_message(status));
  }

 private:
  CudnnPlan plan_;
  std::vector<std::int64_t> names_;
  std::vector<void*> pointers_;
  void* workspace_ = nullptr;
  CudnnDescriptor pack_;
};

void* writable(const void* memory) { return const_cast<void*>(memory); }  // packs know no const

struct Calls {
  std::optional<Call> forward, backward_data, backward_weights;
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
  Status run(const char* direction, std::optional<Call>& call, cudaStream_t stream,
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

// Settles what is fused: with fewer steps in the graph, more engines can run it.
Status settle_forward(const CudnnContext& context, const ConvolutionShape& shape,
                      const ConvolutionOptions& options, ConvolutionPlan& plan, Calls& calls) {
  struct Fusion {
    bool bias, relu;
  };
  std::vector<Fusion> fusions;
  if (options.bias || options.relu) {
    fusions.push_back({options.bias, options.relu});
  }
  if (options.bias && options.relu) {
    fusions.push_back({true, false});
  }
  fusions.push_back({false, false});
  std::string refusal;
  for (const auto [bias, relu] : fusions) {
    auto made = plan_forward(context, shape, bias, relu);
    if (!made.ok()) {
      refusal = made.error().message;
      continue;
    }
    plan.bias_fused = bias;
    plan.relu_fused = relu;
    std::vector<Name> names = {Name::x, Name::w, Name::y};
    if (bias) {
      names.push_back(Name::bias);
    }
    calls.forward.emplace(std::move(*made), std::move(names));
    return {};
  }
  return no_engine(shape, "forward", failure(refusal));
}

Status settle_backward_weights(const CudnnContext& context, const ConvolutionShape& shape,
                               ConvolutionPlan& plan, Calls& calls) {
  plan.weight_gradient_type = ElementType::f32;
  auto made = plan_backward_weights(context, shape, ElementType::f32);
  if (!made.ok() && shape.type == ElementType::bf16) {
    plan.weight_gradient_type = ElementType::bf16;
    made = plan_backward_weights(context, shape, ElementType::bf16);
  }
  if (!made.ok()) {
    return no_engine(shape, "backward to the weights", made.error());
  }
  calls.backward_weights.emplace(std::move(*made), std::vector<Name>{Name::x, Name::w, Name::y});
  return {};
}

// Copies what the chosen engine says into the plan that callers see.
void record(const std::optional<Call>& call, std::string& engine, ConvolutionPlan& plan) {
  if (call.has_value()) {
    engine = call->plan().engine;
    plan.workspace_bytes = std::max(plan.workspace_bytes, call->plan().workspace_bytes);
  }
}

}  // namespace

Result<std::unique_ptr<ConvolutionContext>> make_convolution_context(std::int64_t workspace_limit_bytes) {
  CudnnDevice device;
  const cudnnStatus_t status = cudnnCreate(&device.handle);
  if (status != CUDNN_STATUS_SUCCESS) {
    return failure(
        fmt::format("cuDNN cannot use this GPU: {}. cuDNN {}.{} needs a driver that runs CUDA {}.x and "
                    "a GPU of compute capability 7.5 or newer; device: cpu trains without one.",
                    cudnn_message(status), CUDNN_MAJOR, CUDNN_MINOR, cudnnGetCudartVersion() / 1000));
  }
  return std::unique_ptr<ConvolutionContext>(
      std::make_unique<CudnnContext>(std::move(device), workspace_limit_bytes));
}

Result<std::unique_ptr<ConvolutionContext>> audit_convolution_context(const std::string& device_description,
                                                                      std::int64_t workspace_limit_bytes) {
  CudnnDevice device;
  device.description = CudnnDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  device.description.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                         static_cast<std::int64_t>(device_description.size()), device_description.data());
  const Status status = device.description.finalize();
  if (!status.ok()) {
    return failure(
        fmt::format("cuDNN does not understand the description of the device: {}. It must be JSON as "
                    "cuDNN {}.{} writes it.",
                    status.error().message, CUDNN_MAJOR, CUDNN_MINOR));
  }
  return std::unique_ptr<ConvolutionContext>(
      std::make_unique<CudnnContext>(std::move(device), workspace_limit_bytes));
}

Result<std::unique_ptr<Convolution>> plan_convolution(ConvolutionContext& context,
                                                      const ConvolutionShape& shape,
                                                      const ConvolutionOptions& options) {
  check_shape(shape);
  const auto& cudnn = static_cast<const CudnnContext&>(context);
  ConvolutionPlan plan;
  Calls calls;
  RETURN_IF_ERROR(settle_forward(cudnn, shape, options, plan, calls));
  if (options.needs_input_gradient) {
    auto made = plan_backward_data(cudnn, shape);
    if (!made.ok()) {
      return no_engine(shape, "backward to the input", made.error());
    }
    calls.backward_data.emplace(std::move(*made), std::vector<Name>{Name::x, Name::w, Name::y});
  }
  if (options.needs_weight_gradient) {
    RETURN_IF_ERROR(settle_backward_weights(cudnn, shape, plan, calls));
  }
  record(calls.forward, plan.forward, plan);
  record(calls.backward_data, plan.backward_data, plan);
  record(calls.backward_weights, plan.backward_weights, plan);
  return std::unique_ptr<Convolution>(
      std::make_unique<CudnnConvolution>(std::move(plan), cudnn.device().handle, shape, std::move(calls)));
}

}  // namespace regatta

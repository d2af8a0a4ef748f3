// The three directions of a convolution as small graphs in cuDNN's terms.
#include "models/cuda/convolution_graphs.h"

#include <array>
#include <utility>

namespace regatta {
namespace {

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

}  // namespace

Result<CudnnOperations> forward_graph(const ConvolutionShape& shape, const Fusion& fusion) {
  const Tensors tensors(shape);
  CudnnOperations operations;
  CudnnDescriptor result = fusion.bias || fusion.relu ? tensors.between(Name::product) : tensors.y();
  ASSIGN_OR_RETURN(auto product, convolve(kForward, shape, tensors.x(), tensors.w(), result));
  operations.push_back(std::move(product));
  if (fusion.bias) {
    CudnnDescriptor sum = fusion.relu ? tensors.between(Name::sum) : tensors.y();
    const CudnnDescriptor addend = tensors.bias();
    ASSIGN_OR_RETURN(auto added, pointwise(CUDNN_POINTWISE_ADD, result, &addend, sum));
    operations.push_back(std::move(added));
    result = std::move(sum);
  }
  if (fusion.relu) {
    ASSIGN_OR_RETURN(auto clipped, pointwise(CUDNN_POINTWISE_RELU_FWD, result, nullptr, tensors.y()));
    operations.push_back(std::move(clipped));
  }
  return operations;
}

Result<CudnnOperations> backward_data_graph(const ConvolutionShape& shape) {
  const Tensors tensors(shape);
  CudnnOperations operations;
  ASSIGN_OR_RETURN(auto product, convolve(kBackwardData, shape, tensors.x(), tensors.w(), tensors.y()));
  operations.push_back(std::move(product));
  return operations;
}

// Sums of bf16 products leave cuDNN as f32 only through a copy that the engine makes at its end.
Result<CudnnOperations> backward_weights_graph(const ConvolutionShape& shape, ElementType result_type) {
  const Tensors tensors(shape);
  const bool copies = result_type != shape.type;
  const CudnnDescriptor result = tensors.w(data_type(result_type));
  const CudnnDescriptor sums = tensors.w(CUDNN_DATA_FLOAT, Name::product);
  CudnnOperations operations;
  ASSIGN_OR_RETURN(auto product,
                   convolve(kBackwardWeights, shape, tensors.x(), copies ? sums : result, tensors.y()));
  operations.push_back(std::move(product));
  if (copies) {
    ASSIGN_OR_RETURN(auto copied, pointwise(CUDNN_POINTWISE_IDENTITY, sums, nullptr, result));
    operations.push_back(std::move(copied));
  }
  return operations;
}

}  // namespace regatta

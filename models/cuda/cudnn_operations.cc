// An operation graph in cuDNN's terms. What each attribute means, and which type a mode computes in, is in
// the section "Backend Descriptor Types" of cuDNN's reference.
#include "models/cuda/cudnn_operations.h"

#include <utility>

namespace regatta {
namespace {

cudnnDataType_t data_type(GraphType type) {
  switch (type) {
    case GraphType::f32:
      return CUDNN_DATA_FLOAT;
    case GraphType::bf16:
      return CUDNN_DATA_BFLOAT16;
    case GraphType::i32:
      return CUDNN_DATA_INT32;
    case GraphType::boolean:
      return CUDNN_DATA_BOOLEAN;
  }
  check_failed("a known type", __FILE__, __LINE__);
}

CudnnDescriptor tensor(const GraphTensor& from) {
  CudnnDescriptor made(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, from.id)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(from.type))
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kGraphAlignment)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, from.sizes)
      .set(CUDNN_ATTR_TENSOR_STRIDES, from.strides)
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, from.is_virtual)
      .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, from.value.has_value());
  (void)made.finalize();  // an error stays in the tensor, and the operation that takes it reports it
  return made;
}

// How a pointwise step is called, what it computes in, and along which axis, where it counts one.
struct PointwiseMode {
  cudnnPointwiseMode_t mode;
  cudnnDataType_t precision = CUDNN_DATA_FLOAT;
  std::int64_t axis = -1;
};

PointwiseMode pointwise_mode(GraphStep step) {
  switch (step) {
    case GraphStep::add:
      return {CUDNN_POINTWISE_ADD};
    case GraphStep::subtract:
      return {CUDNN_POINTWISE_SUB};
    case GraphStep::multiply:
      return {CUDNN_POINTWISE_MUL};
    case GraphStep::divide:
      return {CUDNN_POINTWISE_DIV};
    case GraphStep::exponential:
      return {CUDNN_POINTWISE_EXP};
    case GraphStep::logarithm:
      return {CUDNN_POINTWISE_LOG};
    case GraphStep::row_index:
      return {.mode = CUDNN_POINTWISE_GEN_INDEX, .axis = 2};
    case GraphStep::column_index:
      return {.mode = CUDNN_POINTWISE_GEN_INDEX, .axis = 3};
    case GraphStep::greater_equal:
      return {CUDNN_POINTWISE_CMP_GE, CUDNN_DATA_BOOLEAN};
    case GraphStep::select:
      return {CUDNN_POINTWISE_BINARY_SELECT};
    case GraphStep::matmul:
    case GraphStep::largest:
    case GraphStep::sum:
    case GraphStep::reshape:
      break;
  }
  check_failed("a pointwise step", __FILE__, __LINE__);
}

class Operations {
 public:
  explicit Operations(const OperationGraph& graph) {
    for (const GraphTensor& each : graph.tensors) {
      tensors_.push_back(tensor(each));
    }
  }

  CudnnDescriptor make(const GraphOperation& operation) const {
    switch (operation.step) {
      case GraphStep::matmul:
        return matmul(operation);
      case GraphStep::largest:
        return reduction(operation, CUDNN_REDUCE_TENSOR_MAX);
      case GraphStep::sum:
        return reduction(operation, CUDNN_REDUCE_TENSOR_ADD);
      case GraphStep::reshape:
        return reshape(operation);
      default:
        return pointwise(operation);
    }
  }

 private:
  const CudnnDescriptor& at(int number) const { return tensors_.at(static_cast<std::size_t>(number)); }

  CudnnDescriptor matmul(const GraphOperation& operation) const {
    CudnnDescriptor product(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
    product.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT);
    (void)product.finalize();  // as with tensors, here and below
    CudnnDescriptor made(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
    made.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, product)
        .set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, at(operation.x))
        .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, at(operation.b))
        .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, at(operation.y));
    return made;
  }

  CudnnDescriptor reduction(const GraphOperation& operation, cudnnReduceTensorOp_t reduces) const {
    CudnnDescriptor reducing(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
    reducing.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &reduces)
        .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    (void)reducing.finalize();
    CudnnDescriptor made(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
    made.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, reducing)
        .set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, at(operation.x))
        .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, at(operation.y));
    return made;
  }

  CudnnDescriptor reshape(const GraphOperation& operation) const {
    CudnnDescriptor made(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
    made.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, at(operation.x))
        .set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, at(operation.y));
    return made;
  }

  CudnnDescriptor pointwise(const GraphOperation& operation) const {
    const auto [mode, precision, axis] = pointwise_mode(operation.step);
    CudnnDescriptor computing(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    computing.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode)
        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, precision);
    if (axis >= 0) {
      computing.set(CUDNN_ATTR_POINTWISE_AXIS, axis);
    }
    (void)computing.finalize();
    CudnnDescriptor made(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    made.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, computing)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(operation.x))
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(operation.y));
    if (operation.b >= 0) {
      made.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, at(operation.b));
    }
    if (operation.t >= 0) {
      made.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, at(operation.t));
    }
    return made;
  }

  std::vector<CudnnDescriptor> tensors_;
};

}  // namespace

Result<CudnnOperations> cudnn_operations(const OperationGraph& graph) {
  const Operations descriptors(graph);
  CudnnOperations operations;
  for (const GraphOperation& operation : graph.operations) {
    operations.push_back(descriptors.make(operation));
    RETURN_IF_ERROR(operations.back().finalize());
  }
  return operations;
}

}  // namespace regatta

// Matrix products by cuBLASLt, which counts columns first: what is row-major here is the transposed matrix
// there, so Dᵀ = op(B)ᵀ op(A)ᵀ is what it is asked for, and its "rows of D", along which it adds a bias, are
// our columns.
#include "models/cuda/matmul.h"

#include <cublasLt.h>
#include <fmt/format.h>

#include <numeric>

#include "base/check.h"

namespace regatta::cuda {
namespace {

constexpr std::uint64_t kWorkspaceBytes = 32ULL << 20;  // what NVIDIA advises on Hopper
constexpr std::int64_t kPointerAlignment = 16;

Status checked(cublasStatus_t status, const char* doing, const MatmulShape& shape) {
  if (status == CUBLAS_STATUS_SUCCESS) {
    return {};
  }
  return failure(
      fmt::format("cuBLASLt, {} a {}: {}", doing, describe(shape), cublasLtGetStatusString(status)));
}

cudaDataType_t data_type(ElementType type) { return type == ElementType::f32 ? CUDA_R_32F : CUDA_R_16BF; }

bool has_bias(MatmulShape::Ending ending) {
  using Ending = MatmulShape::Ending;
  return ending == Ending::bias || ending == Ending::bias_relu || ending == Ending::bias_relu_mask;
}

bool has_mask(MatmulShape::Ending ending) {
  return ending == MatmulShape::Ending::bias_relu_mask || ending == MatmulShape::Ending::masked;
}

// Our A is the library's B.
cublasLtEpilogue_t epilogue_of(MatmulShape::Ending ending) {
  using Ending = MatmulShape::Ending;
  switch (ending) {
    case Ending::none:
      return CUBLASLT_EPILOGUE_DEFAULT;
    case Ending::bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Ending::bias_relu:
      return CUBLASLT_EPILOGUE_RELU_BIAS;
    case Ending::bias_relu_mask:
      return CUBLASLT_EPILOGUE_RELU_AUX_BIAS;
    case Ending::masked:
      return CUBLASLT_EPILOGUE_DRELU;
    case Ending::sums_of_a:
      return CUBLASLT_EPILOGUE_BGRADB;
  }
  check_failed("a known ending", __FILE__, __LINE__);
}

class LtContext final : public MatmulContext {
 public:
  explicit LtContext(cublasLtHandle_t handle) : handle_(handle) {}
  ~LtContext() override { cublasLtDestroy(handle_); }
  LtContext(const LtContext&) = delete;
  LtContext& operator=(const LtContext&) = delete;
  cublasLtHandle_t handle() const { return handle_; }

 private:
  cublasLtHandle_t handle_;
};

// Owns a descriptor of cuBLASLt.
template <class Handle, cublasStatus_t (*Destroy)(Handle)>
class Owned {
 public:
  Owned() = default;
  ~Owned() {
    if (handle_ != nullptr) {
      Destroy(handle_);
    }
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  Handle get() const { return handle_; }
  Handle* put() { return &handle_; }

 private:
  Handle handle_ = nullptr;
};
using Description = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

// One matrix as it is stored: `rows` of `columns`, row-major.
struct Stored {
  ElementType type;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t row;    // elements from one to the next
  std::int64_t batch;  // from one matrix to the next

  // The largest power of two up to 16 bytes that divides all matrices' addresses.
  std::uint32_t alignment(std::int64_t batches) const {
    return static_cast<std::uint32_t>(
        std::gcd(kPointerAlignment, batches > 1 ? batch * bytes_of(type) : kPointerAlignment));
  }
};

Status make_layout(Layout& layout, const Stored& stored, std::int64_t batches, const MatmulShape& shape) {
  RETURN_IF_ERROR(checked(cublasLtMatrixLayoutCreate(layout.put(), data_type(stored.type),
                                                     static_cast<std::uint64_t>(stored.columns),
                                                     static_cast<std::uint64_t>(stored.rows), stored.row),
                          "describing", shape));
  const auto count = static_cast<std::int32_t>(batches);
  RETURN_IF_ERROR(checked(cublasLtMatrixLayoutSetAttribute(layout.get(), CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                           &count, sizeof(count)),
                          "describing", shape));
  return checked(cublasLtMatrixLayoutSetAttribute(layout.get(), CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                  &stored.batch, sizeof(stored.batch)),
                 "describing", shape);
}

class LtMatmul final : public Matmul {
 public:
  LtMatmul(cublasLtHandle_t handle, const MatmulShape& shape) : handle_(handle), shape_(shape) {}

  Status plan() {
    const ElementType type = element_type(shape_.math);
    const Stored a{.type = type,
                   .rows = shape_.transpose_a ? shape_.k : shape_.m,
                   .columns = shape_.transpose_a ? shape_.m : shape_.k,
                   .row = shape_.a_row,
                   .batch = shape_.a_batch};
    const Stored b{.type = type,
                   .rows = shape_.transpose_b ? shape_.n : shape_.k,
                   .columns = shape_.transpose_b ? shape_.k : shape_.n,
                   .row = shape_.b_row,
                   .batch = shape_.b_batch};
    const Stored d{.type = shape_.output,
                   .rows = shape_.m,
                   .columns = shape_.n,
                   .row = shape_.d_row,
                   .batch = shape_.d_batch};
    RETURN_IF_ERROR(make_layout(a_, a, shape_.batches, shape_));
    RETURN_IF_ERROR(make_layout(b_, b, shape_.batches, shape_));
    RETURN_IF_ERROR(make_layout(d_, d, shape_.batches, shape_));
    RETURN_IF_ERROR(describe_product());
    return choose(a.alignment(shape_.batches), b.alignment(shape_.batches), d.alignment(shape_.batches));
  }

  std::int64_t workspace_bytes() const override { return static_cast<std::int64_t>(workspace_bytes_); }

  Status run(cudaStream_t stream, const MatmulMemory& memory, void* workspace) const override {
    if (has_bias(shape_.ending)) {
      RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, memory.bias));
    }
    if (shape_.ending == Ending::sums_of_a) {
      RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, memory.sums));
    }
    if (has_mask(shape_.ending)) {
      RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, memory.mask));
    }
    const float alpha = shape_.scale;
    const float beta = 0;
    return checked(cublasLtMatmul(handle_, product_.get(), &alpha, memory.b, b_.get(), memory.a, a_.get(),
                                  &beta, memory.d, d_.get(), memory.d, d_.get(), &algorithm_, workspace,
                                  workspace_bytes_, stream),
                   "computing", shape_);
  }

 private:
  using Ending = MatmulShape::Ending;

  template <class Value>
  Status set(cublasLtMatmulDescAttributes_t name, const Value& value) const {
    return checked(cublasLtMatmulDescSetAttribute(product_.get(), name, &value, sizeof(value)), "describing",
                   shape_);
  }

  Status describe_product() {
    const cublasComputeType_t compute =
        shape_.math == MathMode::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    RETURN_IF_ERROR(
        checked(cublasLtMatmulDescCreate(product_.put(), compute, CUDA_R_32F), "describing", shape_));
    RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_TRANSA, shape_.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N));
    RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_TRANSB, shape_.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N));
    if (shape_.ending == Ending::none) {
      return {};
    }
    RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(shape_.ending)));
    if (has_mask(shape_.ending)) {
      CHECK(shape_.batches == 1);
      RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, example_pointer(kPointerAlignment)));
      RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, shape_.mask_row));
    }
    if (!has_bias(shape_.ending) && shape_.ending != Ending::sums_of_a) {
      return {};
    }
    RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, data_type(shape_.output)));
    const std::int64_t batch_bytes = shape_.bias_batch * bytes_of(shape_.output);
    const std::int64_t alignment =
        std::gcd(kPointerAlignment, shape_.batches > 1 ? batch_bytes : kPointerAlignment);
    RETURN_IF_ERROR(set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, example_pointer(alignment)));
    return set(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, shape_.bias_batch);
  }

  // The choice of the kernel goes by a pointer's alignment; run() sets the real one.
  static const void* example_pointer(std::int64_t alignment) {
    return reinterpret_cast<const void*>(alignment);
  }

  // Kernels that cut k among blocks may add the parts up only through the workspace, in a fixed order.
  Status choose(std::uint32_t a_alignment, std::uint32_t b_alignment, std::uint32_t d_alignment) {
    Preference preference;
    RETURN_IF_ERROR(checked(cublasLtMatmulPreferenceCreate(preference.put()), "planning", shape_));
    const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
      return checked(cublasLtMatmulPreferenceSetAttribute(preference.get(), name, &value, sizeof(value)),
                     "planning", shape_);
    };
    constexpr std::uint32_t kReductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes));
    RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, kReductions));
    RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, b_alignment));
    RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, a_alignment));
    RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, d_alignment));
    RETURN_IF_ERROR(prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, d_alignment));
    cublasLtMatmulHeuristicResult_t best = {};
    int found = 0;
    RETURN_IF_ERROR(
        checked(cublasLtMatmulAlgoGetHeuristic(handle_, product_.get(), b_.get(), a_.get(), d_.get(),
                                               d_.get(), preference.get(), 1, &best, &found),
                "planning", shape_));
    if (found == 0 || best.state != CUBLAS_STATUS_SUCCESS) {  // which says whether its other members count
      return checked(CUBLAS_STATUS_NOT_SUPPORTED, "planning", shape_);
    }
    algorithm_ = best.algo;
    workspace_bytes_ = best.workspaceSize;
    return {};
  }

  cublasLtHandle_t handle_;
  MatmulShape shape_;
  Description product_;
  Layout a_;
  Layout b_;
  Layout d_;
  cublasLtMatmulAlgo_t algorithm_ = {};
  std::size_t workspace_bytes_ = 0;
};

}  // namespace

Result<std::unique_ptr<MatmulContext>> make_matmul_context() {
  cublasLtHandle_t handle = nullptr;
  if (const cublasStatus_t status = cublasLtCreate(&handle); status != CUBLAS_STATUS_SUCCESS) {
    return failure(fmt::format("cuBLASLt cannot use the GPU: {}", cublasLtGetStatusString(status)));
  }
  return std::unique_ptr<MatmulContext>(std::make_unique<LtContext>(handle));
}

Result<std::unique_ptr<Matmul>> plan_matmul(MatmulContext& context, const MatmulShape& shape) {
  auto product = std::make_unique<LtMatmul>(static_cast<LtContext&>(context).handle(), shape);
  RETURN_IF_ERROR(product->plan());
  return std::unique_ptr<Matmul>(std::move(product));
}

}  // namespace regatta::cuda

// Matrix products on the emulated device, in place of cuBLASLt: one thread for each element of D.
#include "models/cuda/matmul.h"

#include <cuda_bf16.h>

#include "models/cuda/device.h"
#include "models/cuda/launch.h"

namespace regatta::cuda {
namespace {

float read(const void* values, ElementType type, std::int64_t at) {
  return type == ElementType::f32 ? static_cast<const float*>(values)[at]
                                  : __bfloat162float(static_cast<const __nv_bfloat16*>(values)[at]);
}

void write(void* values, ElementType type, std::int64_t at, float value) {
  if (type == ElementType::f32) {
    static_cast<float*>(values)[at] = value;
  } else {
    static_cast<__nv_bfloat16*>(values)[at] = __float2bfloat16(value);
  }
}

void multiply(MatmulShape shape, const void* a, const void* b, const void* bias, void* d) {
  const ElementType type = element_type(shape.math);
  each_element(shape.batches * shape.m * shape.n, [&](std::int64_t i) {
    const std::int64_t batch = i / (shape.m * shape.n);
    const std::int64_t row = i / shape.n % shape.m;
    const std::int64_t column = i % shape.n;
    double sum = 0;
    for (std::int64_t k = 0; k < shape.k; ++k) {
      const std::int64_t of_a = shape.transpose_a ? k * shape.a_row + row : row * shape.a_row + k;
      const std::int64_t of_b = shape.transpose_b ? column * shape.b_row + k : k * shape.b_row + column;
      sum += static_cast<double>(read(a, type, batch * shape.a_batch + of_a)) *
             static_cast<double>(read(b, type, batch * shape.b_batch + of_b));
    }
    const std::int64_t at = batch * shape.d_batch + row * shape.d_row + column;
    auto value = static_cast<float>(shape.scale * sum);
    if (shape.accumulate) {
      value += read(d, shape.output, at);
    }
    if (shape.ending != MatmulShape::Ending::none) {
      value += read(bias, shape.output, batch * shape.bias_batch + column);
    }
    if (shape.ending == MatmulShape::Ending::bias_relu) {
      value = value > 0 ? value : 0;  // as the library has it: a NaN becomes 0
    }
    write(d, shape.output, at, value);
  });
}

class LoopMatmul final : public Matmul {
 public:
  explicit LoopMatmul(const MatmulShape& shape) : shape_(shape) {}
  std::int64_t workspace_bytes() const override { return 0; }
  Status run(cudaStream_t stream, const void* a, const void* b, const void* bias, void* d,
             void*) const override {
    launch(multiply, one_thread_each(shape_.batches * shape_.m * shape_.n), stream, shape_, a, b, bias, d);
    return {};
  }

 private:
  MatmulShape shape_;
};

}  // namespace

Result<std::unique_ptr<MatmulContext>> make_matmul_context() { return std::make_unique<MatmulContext>(); }

Result<std::unique_ptr<Matmul>> plan_matmul(MatmulContext&, const MatmulShape& shape) {
  return std::unique_ptr<Matmul>(std::make_unique<LoopMatmul>(shape));
}

}  // namespace regatta::cuda

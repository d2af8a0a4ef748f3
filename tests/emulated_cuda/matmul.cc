// Matrix products on the emulated device, in place of cuBLASLt: one thread for each element of D. What
// cuBLASLt's documentation refuses is refused here, and the workspace that a product is lent is spoilt.
#include "emulated_cuda/matmul.h"

#include <cuda_bf16.h>
#include <fmt/format.h>

#include <cmath>
#include <utility>
#include <vector>

#include "models/cuda/device.h"
#include "models/cuda/launch.h"

namespace regatta {
namespace {

std::set<cuda::MatmulShape::Ending>& refused_endings() {
  static auto* const refused = new std::set<cuda::MatmulShape::Ending>;
  return *refused;
}

std::vector<cuda::MatmulShape>& asked_products() {
  static auto* const asked = new std::vector<cuda::MatmulShape>;
  return *asked;
}

}  // namespace

std::vector<cuda::MatmulShape> take_asked_products() { return std::exchange(asked_products(), {}); }

void refuse_endings(std::set<cuda::MatmulShape::Ending> endings) { refused_endings() = std::move(endings); }

namespace cuda {
namespace {

using Ending = MatmulShape::Ending;

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

// A bit of a mask, as words of 32; nothing is said about the bits between n and mask_row.
struct MaskBit {
  std::int64_t word;
  unsigned bit;
};
MaskBit mask_bit(const MatmulShape& shape, std::int64_t row, std::int64_t column) {
  const std::int64_t at = row * shape.mask_row + column;
  return {at / 32, 1U << (at % 32)};
}

void keep_bit(const MaskBit& place, bool value, unsigned* mask) {
  if (value) {
    atomicOr(mask + place.word, place.bit);
  } else {
    atomicAnd(mask + place.word, ~place.bit);
  }
}

// op(A) at (row, k) of a batch.
float read_a(const MatmulShape& shape, const void* a, std::int64_t batch, std::int64_t row, std::int64_t k) {
  const std::int64_t at = shape.transpose_a ? k * shape.a_row + row : row * shape.a_row + k;
  return read(a, element_type(shape.math), batch * shape.a_batch + at);
}

float read_b(const MatmulShape& shape, const void* b, std::int64_t batch, std::int64_t k,
             std::int64_t column) {
  const std::int64_t at = shape.transpose_b ? column * shape.b_row + k : k * shape.b_row + column;
  return read(b, element_type(shape.math), batch * shape.b_batch + at);
}

float ended(const MatmulShape& shape, const MatmulMemory& memory, std::int64_t batch, std::int64_t row,
            std::int64_t column, float value) {
  if (shape.ending == Ending::masked) {
    const MaskBit place = mask_bit(shape, row, column);
    return (static_cast<const unsigned*>(memory.mask)[place.word] & place.bit) != 0 ? value : 0;
  }
  value += read(memory.bias, shape.output, batch * shape.bias_batch + column);
  if (shape.ending == Ending::bias) {
    return value;
  }
  if (shape.ending == Ending::bias_relu_mask) {
    keep_bit(mask_bit(shape, row, column), value > 0, static_cast<unsigned*>(memory.mask));
  }
  return value > 0 ? value : 0;  // as the library has it: a NaN becomes 0
}

// Larger products have more of it.
std::int64_t workspace_words(const MatmulShape& shape) { return 64 * (1 + shape.n / 16); }

void multiply(MatmulShape shape, MatmulMemory memory, float* workspace) {
  each_element(workspace_words(shape), [&](std::int64_t i) { workspace[i] = std::nanf(""); });
  each_element(shape.batches * shape.m * shape.n, [&](std::int64_t i) {
    const std::int64_t batch = i / (shape.m * shape.n);
    const std::int64_t row = i / shape.n % shape.m;
    const std::int64_t column = i % shape.n;
    double sum = 0;
    for (std::int64_t k = 0; k < shape.k; ++k) {
      sum += static_cast<double>(read_a(shape, memory.a, batch, row, k)) *
             static_cast<double>(read_b(shape, memory.b, batch, k, column));
    }
    auto value = static_cast<float>(shape.scale * sum);
    if (shape.ending == Ending::sums_of_a) {
      double of_row = 0;
      for (std::int64_t k = 0; column == 0 && k < shape.k; ++k) {
        of_row += static_cast<double>(read_a(shape, memory.a, batch, row, k));
      }
      if (column == 0) {
        memory.sums[batch * shape.bias_batch + row] = static_cast<float>(of_row);
      }
    } else if (shape.ending != Ending::none) {
      value = ended(shape, memory, batch, row, column, value);
    }
    write(memory.d, shape.output, batch * shape.d_batch + row * shape.d_row + column, value);
  });
}

class LoopMatmul final : public Matmul {
 public:
  explicit LoopMatmul(const MatmulShape& shape) : shape_(shape) {}
  std::int64_t workspace_bytes() const override {
    return workspace_words(shape_) * static_cast<std::int64_t>(sizeof(float));
  }
  Status run(cudaStream_t stream, const MatmulMemory& memory, void* workspace) const override {
    launch(multiply, one_thread_each(shape_.batches * shape_.m * shape_.n), stream, shape_, memory,
           static_cast<float*>(workspace));
    return {};
  }

 private:
  MatmulShape shape_;
};

// Bits of a mask begin at multiples of 128 and have room for a row; a product over one element has no mask;
// sums are of D's type, and we want them as floats.
bool is_refused(const MatmulShape& shape) {
  if (refused_endings().contains(shape.ending)) {
    return true;
  }
  if (shape.ending == Ending::bias_relu_mask || shape.ending == Ending::masked) {
    CHECK(shape.batches == 1);
    return shape.mask_row % kMaskAlignment != 0 || shape.mask_row < shape.n ||
           (shape.ending == Ending::masked && shape.k == 1);
  }
  return shape.ending == Ending::sums_of_a && shape.output != ElementType::f32;
}

}  // namespace

Result<std::unique_ptr<MatmulContext>> make_matmul_context() { return std::make_unique<MatmulContext>(); }

Result<std::unique_ptr<Matmul>> plan_matmul(MatmulContext&, const MatmulShape& shape) {
  asked_products().push_back(shape);
  if (is_refused(shape)) {
    return failure(fmt::format("no kernel for a {}", describe(shape)));
  }
  return std::unique_ptr<Matmul>(std::make_unique<LoopMatmul>(shape));
}

}  // namespace cuda
}  // namespace regatta

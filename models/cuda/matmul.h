// Matrix products on a GPU, many at once. All matrices are row-major.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "models/cuda/element_type.h"

namespace regatta::cuda {

// D = op(A) op(B) for `batches` triples of matrices; op(A): [m, k], op(B): [k, n], D: [m, n].
struct MatmulShape {
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  bool transpose_a = false;  // A is stored as [k, m]
  bool transpose_b = false;  // B is stored as [n, k]
  // From one row of a matrix to the next, and from one matrix to the next, in elements.
  std::int64_t a_row = 0;
  std::int64_t b_row = 0;
  std::int64_t d_row = 0;
  std::int64_t batches = 1;
  std::int64_t a_batch = 0;
  std::int64_t b_batch = 0;
  std::int64_t d_batch = 0;
  MathMode math = MathMode::fp32;         // A and B are bf16 exactly where it is
  ElementType output = ElementType::f32;  // of D
  // What is done along with the product.
  enum class Ending {
    none,
    bias,            // D + bias, of n elements (f32, or bf16 where D is)
    bias_relu,       // and the relu of that
    bias_relu_mask,  // and a bit for each element: whether it is positive
    masked,          // D where its bit is set, 0 elsewhere: the relu's way back
    sums_of_a,       // besides D, in f32: what op(A)'s rows sum up to, m elements
  };
  Ending ending = Ending::none;
  std::int64_t bias_batch = 0;  // from one matrix's bias or sums to the next
  std::int64_t mask_row = 0;    // of one matrix's bits, from row to row: a multiple of kMaskAlignment
  float scale = 1;              // of the product
};
inline constexpr std::int64_t kMaskAlignment = 128;  // bits
std::string describe(const MatmulShape& shape);

// Where a product's matrices are, and what its ending takes and leaves.
struct MatmulMemory {
  const void* a = nullptr;
  const void* b = nullptr;
  void* d = nullptr;
  const void* bias = nullptr;
  void* mask = nullptr;
  float* sums = nullptr;
};

// The library's handle, for the device that is current when it is made.
class MatmulContext {
 public:
  virtual ~MatmulContext() = default;
};
Result<std::unique_ptr<MatmulContext>> make_matmul_context();

class Matmul {
 public:
  virtual ~Matmul() = default;
  virtual std::int64_t workspace_bytes() const = 0;
  // Only enqueues. `workspace`: workspace_bytes() that nobody else uses meanwhile, aligned to 256 bytes.
  virtual Status run(cudaStream_t stream, const MatmulMemory& memory, void* workspace) const = 0;
};

// Chooses the kernel, the same one for the same shape on the same device. Pointers are multiples of 16 bytes
// at the first matrix. The library has no kernel for some shapes with an ending, so whoever asks for one has
// another way.
Result<std::unique_ptr<Matmul>> plan_matmul(MatmulContext& context, const MatmulShape& shape);

}  // namespace regatta::cuda

// Matrix products within an operation. Row-major matrices serve as well as blocked weights do, so that
// weights and gradients stay where they are in the flat buffers.
#pragma once

#include <cstdint>
#include <string>

#include "models/cpu/planner.h"

namespace regatta {

using Matrix = dnnl::memory::desc;

// Row-major.
Matrix matrix(std::int64_t rows, std::int64_t columns, ElementType type = ElementType::f32);
// The transpose of a row-major `columns` × `rows` matrix.
Matrix transposed(std::int64_t rows, std::int64_t columns, ElementType type = ElementType::f32);
// The memory of a tensor whose last axis has `columns` elements, all else as rows.
Tensor as_matrix(Planner& planner, const Tensor& tensor, std::int64_t columns);
Tensor as_transposed(Planner& planner, const Tensor& tensor, std::int64_t columns);

// result = left · right + bias, as the descriptions of the memories say.
struct Product {
  dnnl::memory left;
  dnnl::memory right;
  dnnl::memory bias = {};  // one row; none: no bias
  dnnl::memory result;
  dnnl::post_ops after = {};
};
void add_product(Planner& planner, CallSequence& calls, int lane, const Product& product);
// What a product does after: add to what stands in its result.
dnnl::post_ops adding();

// y = x Wᵀ + b for every row of x; W: [outputs, inputs]. Tensors of any shape whose last axis fits.
struct Projection {
  std::string weight;
  std::string bias;  // empty: none
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
};
void add_projection(Planner& planner, CallSequence& calls, const Projection& projection, const Tensor& input,
                    const Tensor& output, const dnnl::post_ops& after = {});
// dW = dyᵀ x and, where `input_gradient` has lanes, dx = dy W. The bias's gradient is left to
// column_sums.
void add_projection_gradients(Planner& planner, CallSequence& calls, const Projection& projection,
                              const Tensor& input, const Tensor& output_gradient,
                              const Tensor& input_gradient);
// Products of one operation. Those of the same layouts share a plan and its scratchpad, so that they may be
// many: one a lane, or one a block of rows.
class Products {
 public:
  Products(Planner& planner, CallSequence& calls) : planner_(planner), calls_(calls) {}
  void add(int lane, const Product& product);

 private:
  struct Plan {
    Product like;
    dnnl::matmul primitive;
    dnnl::memory scratchpad;
  };
  const Plan& plan_of(const Product& product);

  Planner& planner_;
  CallSequence& calls_;
  std::vector<Plan> plans_;
};

// sums[j] = Σᵢ values[i, j], in the order of the rows.
void column_sums(const float* values, std::int64_t rows, std::int64_t columns, float* sums);
void column_sums(const Bfloat16* values, std::int64_t rows, std::int64_t columns, float* sums);
// Of a lane of a tensor in row-major order.
void column_sums(const Tensor& tensor, int lane, std::int64_t columns, float* sums);

}  // namespace regatta

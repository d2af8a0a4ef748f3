// Matrix products within an operation. Row-major matrices serve as well as blocked weights do, so that
// weights and gradients stay where they are in the flat buffers.
#pragma once

#include <cstdint>

#include "models/cpu/bfloat16.h"
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

// sums[j] = Σᵢ values[i, j], in the order of the rows.
void column_sums(const float* values, std::int64_t rows, std::int64_t columns, float* sums);
void column_sums(const Bfloat16* values, std::int64_t rows, std::int64_t columns, float* sums);

}  // namespace regatta

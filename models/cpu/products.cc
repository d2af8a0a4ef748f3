// oneDNN's matrix products, and the sums that biases need.
#include "models/cpu/products.h"

#include "base/multiversion.h"

namespace regatta {

Matrix matrix(std::int64_t rows, std::int64_t columns, ElementType type) {
  return {{rows, columns}, type, dnnl::memory::dims{columns, 1}};
}

Matrix transposed(std::int64_t rows, std::int64_t columns, ElementType type) {
  return {{rows, columns}, type, dnnl::memory::dims{1, rows}};
}

Tensor as_matrix(Planner& planner, const Tensor& tensor, std::int64_t columns) {
  return planner.view(tensor, {columns}, matrix(tensor.element_count() / columns, columns, tensor.type()));
}

Tensor as_transposed(Planner& planner, const Tensor& tensor, std::int64_t columns) {
  return planner.view(tensor, {columns}, transposed(columns, tensor.element_count() / columns, tensor.type()));
}

void add_product(Planner& planner, CallSequence& calls, int lane, const Product& product) {
  const auto& [left, right, bias, result, after] = product;
  dnnl::primitive_attr attributes = arena_scratchpad();
  attributes.set_post_ops(after);
  const bool has_bias = static_cast<bool>(bias);
  const auto description =
      has_bias ? dnnl::matmul::desc(left.get_desc(), right.get_desc(), bias.get_desc(), result.get_desc())
               : dnnl::matmul::desc(left.get_desc(), right.get_desc(), result.get_desc());
  const dnnl::matmul::primitive_desc planned(description, attributes, planner.engine());
  Arguments arguments = {{DNNL_ARG_SRC, left},
                         {DNNL_ARG_WEIGHTS, right},
                         {DNNL_ARG_DST, result},
                         planner.scratchpad(planned.scratchpad_desc())};
  if (has_bias) {
    arguments.emplace_back(DNNL_ARG_BIAS, bias);
  }
  calls.add(lane, dnnl::matmul(planned), arguments);
}

namespace {

template <class Element>
[[gnu::always_inline]] inline void sum_columns(const Element* __restrict values, std::int64_t rows,
                                               std::int64_t columns, float* __restrict sums) {
  for (std::int64_t column = 0; column < columns; ++column) {
    sums[column] = 0;
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    const Element* __restrict const line = values + row * columns;
#pragma omp simd
    for (std::int64_t column = 0; column < columns; ++column) {
      sums[column] += to_float(line[column]);
    }
  }
}

}  // namespace

REGATTA_MULTIVERSION
void column_sums(const float* values, std::int64_t rows, std::int64_t columns, float* sums) {
  sum_columns(values, rows, columns, sums);
}

REGATTA_MULTIVERSION
void column_sums(const Bfloat16* values, std::int64_t rows, std::int64_t columns, float* sums) {
  sum_columns(values, rows, columns, sums);
}

}  // namespace regatta

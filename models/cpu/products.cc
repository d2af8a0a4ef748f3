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
  return planner.view(tensor, {columns},
                      transposed(columns, tensor.element_count() / columns, tensor.type()));
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

void add_projection(Planner& planner, CallSequence& calls, const Projection& projection, const Tensor& input,
                    const Tensor& output, const dnnl::post_ops& after) {
  const auto& [weight, bias, inputs, outputs] = projection;
  const Tensor x = as_matrix(planner, input, inputs);
  const Tensor y = as_matrix(planner, output, outputs);
  for (int lane = 0; lane < planner.lanes(); ++lane) {
    const auto index = static_cast<std::size_t>(lane);
    add_product(planner, calls, lane,
                {.left = x.lanes[index],
                 .right = planner.weight(weight, transposed(inputs, outputs), lane),
                 .bias = bias.empty() ? dnnl::memory() : planner.weight(bias, matrix(1, outputs), lane),
                 .result = y.lanes[index],
                 .after = after});
  }
}

void add_projection_gradients(Planner& planner, CallSequence& calls, const Projection& projection,
                              const Tensor& input, const Tensor& output_gradient,
                              const Tensor& input_gradient) {
  const auto& [weight, bias, inputs, outputs] = projection;
  const bool continues = !input_gradient.lanes.empty();
  const Tensor x = as_matrix(planner, input, inputs);
  const Tensor dy = as_matrix(planner, output_gradient, outputs);
  const Tensor turned = as_transposed(planner, output_gradient, outputs);
  const Tensor dx = continues ? as_matrix(planner, input_gradient, inputs) : Tensor();
  for (int lane = 0; lane < planner.lanes(); ++lane) {
    const auto index = static_cast<std::size_t>(lane);
    add_product(planner, calls, lane,
                {.left = turned.lanes[index],
                 .right = x.lanes[index],
                 .result = planner.gradient_of_weight(weight, matrix(outputs, inputs), lane)});
    if (continues) {
      add_product(planner, calls, lane,
                  {.left = dy.lanes[index],
                   .right = planner.weight(weight, matrix(outputs, inputs), lane),
                   .result = dx.lanes[index]});
    }
  }
}

ProductPlan::ProductPlan(Planner& planner, const Matrix& left, const Matrix& right, const Matrix& result,
                         const dnnl::post_ops& after) {
  dnnl::primitive_attr attributes = arena_scratchpad();
  attributes.set_post_ops(after);
  const dnnl::matmul::primitive_desc planned({left, right, result}, attributes, planner.engine());
  primitive_ = dnnl::matmul(planned);
  scratchpad_ = planner.temporary(planned.scratchpad_desc());
}

void ProductPlan::add(CallSequence& calls, int lane, const dnnl::memory& left, const dnnl::memory& right,
                      const dnnl::memory& result) const {
  calls.add(lane, primitive_,
            {{DNNL_ARG_SRC, left},
             {DNNL_ARG_WEIGHTS, right},
             {DNNL_ARG_DST, result},
             {DNNL_ARG_SCRATCHPAD, scratchpad_}});
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

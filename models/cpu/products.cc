// oneDNN's matrix products, and the sums that biases need.
#include "models/cpu/products.h"

#include <algorithm>

#include "base/multiversion.h"

namespace regatta {
namespace {

bool same_layouts(const Product& a, const Product& b) {
  const auto same = [](const dnnl::memory& left, const dnnl::memory& right) {
    return (!left && !right) || (left && right && left.get_desc() == right.get_desc());
  };
  return same(a.left, b.left) && same(a.right, b.right) && same(a.bias, b.bias) && same(a.result, b.result);
}

// All that stands behind products here differs in this.
bool same_post_ops(const dnnl::post_ops& a, const dnnl::post_ops& b) {
  return a.len() == b.len() && (a.len() == 0 || a.kind(0) == b.kind(0));
}

}  // namespace

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

const Products::Plan& Products::plan_of(const Product& product) {
  const auto known = std::find_if(plans_.begin(), plans_.end(), [&](const Plan& plan) {
    return same_layouts(plan.like, product) && same_post_ops(plan.like.after, product.after);
  });
  if (known != plans_.end()) {
    return *known;
  }
  dnnl::primitive_attr attributes = arena_scratchpad();
  attributes.set_post_ops(product.after);
  const Matrix left = product.left.get_desc();
  const Matrix right = product.right.get_desc();
  const Matrix result = product.result.get_desc();
  const auto description = product.bias ? dnnl::matmul::desc(left, right, product.bias.get_desc(), result)
                                        : dnnl::matmul::desc(left, right, result);
  const dnnl::matmul::primitive_desc planned(description, attributes, planner_.engine());
  plans_.push_back({.like = product,
                    .primitive = dnnl::matmul(planned),
                    .scratchpad = planner_.temporary(planned.scratchpad_desc())});
  return plans_.back();
}

void Products::add(int lane, const Product& product) {
  const Plan& plan = plan_of(product);
  Arguments arguments = {{DNNL_ARG_SRC, product.left},
                         {DNNL_ARG_WEIGHTS, product.right},
                         {DNNL_ARG_DST, product.result},
                         {DNNL_ARG_SCRATCHPAD, plan.scratchpad}};
  if (product.bias) {
    arguments.emplace_back(DNNL_ARG_BIAS, product.bias);
  }
  calls_.add(lane, plan.primitive, arguments);
}

void add_product(Planner& planner, CallSequence& calls, int lane, const Product& product) {
  Products(planner, calls).add(lane, product);
}

dnnl::post_ops adding() {
  dnnl::post_ops after;
  after.append_sum(1);
  return after;
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

void column_sums(const Tensor& tensor, int lane, std::int64_t columns, float* sums) {
  with_element_type(tensor, [&]<class Element>(Element) {
    column_sums(tensor.elements<Element>(lane), tensor.element_count() / columns, columns, sums);
  });
}

}  // namespace regatta

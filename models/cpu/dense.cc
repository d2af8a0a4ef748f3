// y = x Wᵀ + b. Row-major matrix products serve as well as blocked weights do, so that weights and gradients
// stay where they are in the flat buffers.
#include "base/multiversion.h"
#include "models/cpu/operations.h"

namespace regatta {
namespace {

using Matrix = dnnl::memory::desc;

Matrix matrix(std::int64_t rows, std::int64_t columns) {
  return {{rows, columns}, dnnl::memory::data_type::f32, dnnl::memory::dims{columns, 1}};
}

// The transpose of a row-major `columns` × `rows` matrix.
Matrix transposed(std::int64_t rows, std::int64_t columns) {
  return {{rows, columns}, dnnl::memory::data_type::f32, dnnl::memory::dims{1, rows}};
}

// sums[j] = Σᵢ values[i, j], in the order of the rows.
REGATTA_MULTIVERSION
void column_sums(const float* __restrict values, std::int64_t rows, std::int64_t columns,
                 float* __restrict sums) {
  for (std::int64_t column = 0; column < columns; ++column) {
    sums[column] = 0;
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* __restrict const line = values + row * columns;
#pragma omp simd
    for (std::int64_t column = 0; column < columns; ++column) {
      sums[column] += line[column];
    }
  }
}

class DenseOperation final : public Operation {
 public:
  DenseOperation(Planner& planner, std::string name, const Dense& dense, Tensor input, Ending ending)
      : weight_(name + ".weight"),
        bias_(dense.bias ? name + ".bias" : ""),
        rows_(planner.rows()),
        inputs_(element_count(input.shape)),
        units_(dense.units),
        input_(std::move(input)),
        output_(planner.allocate({units_}, plain_layout(rows_, {units_}))) {
    CHECK(input_.layout == plain_layout(rows_, {inputs_}));
    output_.needs_gradient = true;
    planner.use(input_);
    dnnl::primitive_attr attributes = arena_scratchpad();
    if (ending == Ending::relu) {
      dnnl::post_ops after;
      after.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
      attributes.set_post_ops(after);
    }
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      const auto weights = planner.weight(weight_, transposed(inputs_, units_), lane);
      const auto bias = bias_.empty() ? dnnl::memory() : planner.weight(bias_, matrix(1, units_), lane);
      add_product(planner, forward_, lane, input_.lanes[index], weights, bias, output_.lanes[index],
                  attributes);
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    planner.use(input_);
    if (input_.needs_gradient) {
      planner.set_gradient(input_, planner.allocate(input_.shape, input_.layout));
    }
    // The gradient's memory, seen as its transpose.
    const Tensor turned = planner.view(output_gradient_, {units_}, transposed(units_, rows_));
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      const dnnl::memory& gradient = output_gradient_.lanes[index];
      add_product(planner, backward_, lane, turned.lanes[index], input_.lanes[index], {},
                  planner.gradient_of_weight(weight_, matrix(units_, inputs_), lane), arena_scratchpad());
      if (!bias_.empty()) {
        bias_gradients_.push_back(planner.parameters().gradient(bias_, lane));
      }
      if (input_.needs_gradient) {
        add_product(planner, backward_, lane, gradient,
                    planner.weight(weight_, matrix(units_, inputs_), lane), {},
                    planner.gradient(input_).lanes[index], arena_scratchpad());
      }
    }
  }

  Status forward(const Step& step) override {
    forward_.run(step);
    return {};
  }

  // dW = dyᵀ x;  db = Σ dy over the rows;  dx = dy W
  Status backward(const Step& step) override {
    backward_.run(step);
    if (!bias_.empty()) {
      step.for_active_lanes([&](int lane) {
        column_sums(output_gradient_.data(lane), rows_, units_,
                    bias_gradients_[static_cast<std::size_t>(lane)]);
      });
    }
    return {};
  }

 private:
  static void add_product(Planner& planner, CallSequence& calls, int lane, const dnnl::memory& left,
                          const dnnl::memory& right, const dnnl::memory& bias, const dnnl::memory& result,
                          const dnnl::primitive_attr& attributes) {
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

  std::string weight_;
  std::string bias_;  // empty: none
  std::int64_t rows_;
  std::int64_t inputs_;
  std::int64_t units_;
  Tensor input_;
  Tensor output_;
  Tensor output_gradient_;
  std::vector<float*> bias_gradients_;
  CallSequence forward_;
  CallSequence backward_;
};

}  // namespace

Planned plan_dense(Planner& planner, const std::string& name, const Dense& dense, const Tensor& input,
                   Ending ending) {
  auto operation = std::make_unique<DenseOperation>(planner, name, dense, input, ending);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

// Cross-correlation along the positions as a matrix product: each window's inputs are copied behind each
// other.
#include <algorithm>

#include "base/multiversion.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"
#include "models/cpu/products.h"

namespace regatta {
namespace {

struct Windows {
  Conv1d conv;
  std::int64_t positions = 0;  // of the input
  std::int64_t features = 0;
  std::int64_t count = 0;  // positions of the output

  std::int64_t width() const { return conv.kernel * features; }
};

// One row of the batch: [positions, features] to [count, kernel, features].
void gather(const Windows& windows, const float* values, float* columns) {
  for (std::int64_t t = 0; t < windows.count; ++t) {
    for (std::int64_t k = 0; k < windows.conv.kernel; ++k, columns += windows.features) {
      const std::int64_t from = t * windows.conv.stride + k - windows.conv.zeros_before;
      if (from < 0 || from >= windows.positions) {
        std::fill_n(columns, windows.features, 0.0F);
      } else {
        std::copy_n(values + from * windows.features, windows.features, columns);
      }
    }
  }
}

// The transpose: sums up what came from the same input.
REGATTA_MULTIVERSION
void scatter(const Windows& windows, const float* columns, float* sums) {
  const std::int64_t features = windows.features;
  std::fill_n(sums, windows.positions * features, 0.0F);
  for (std::int64_t t = 0; t < windows.count; ++t) {
    for (std::int64_t k = 0; k < windows.conv.kernel; ++k, columns += features) {
      const std::int64_t from = t * windows.conv.stride + k - windows.conv.zeros_before;
      if (from >= 0 && from < windows.positions) {
        float* const sum = sums + from * features;
#pragma omp simd
        for (std::int64_t f = 0; f < features; ++f) {
          sum[f] += columns[f];
        }
      }
    }
  }
}

class Conv1dOperation final : public Operation {
 public:
  Conv1dOperation(Planner& planner, const std::string& name, const Conv1d& conv, Tensor input)
      : weight_(name + ".weight"),
        bias_(conv.bias ? name + ".bias" : ""),
        rows_(planner.rows()),
        windows_{.conv = conv,
                 .positions = input.shape.front(),
                 .features = input.shape.back(),
                 .count = window_positions(input.shape.front() + conv.zeros_before + conv.zeros_after,
                                           conv.kernel, conv.stride, 0)},
        input_(std::move(input)),
        output_(planner.allocate({windows_.count, conv.filters},
                                 plain_layout(rows_, {windows_.count, conv.filters}))) {
    CHECK(input_.layout == plain_layout(rows_, input_.shape));
    planner.use(input_);
    output_.needs_gradient = true;
    columns_ = planner.temporary(columns_layout());
    const dnnl::memory weights = planner.temporary(weights_by_window());
    const dnnl::memory turned = planner.same_memory(weights, transposed(windows_.width(), conv.filters));
    const Tensor results = as_matrix(planner, output_, conv.filters);
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      planner.add_reorder(forward_, lane, planner.weight(weight_, weights_plain(), lane), weights);
      add_product(
          planner, forward_, lane,
          {.left = columns_,
           .right = turned,
           .bias = bias_.empty() ? dnnl::memory() : planner.weight(bias_, matrix(1, conv.filters), lane),
           .result = results.lanes[static_cast<std::size_t>(lane)]});
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    const std::int64_t filters = windows_.conv.filters;
    planner.use(input_);
    output_gradient_ = planner.gradient_like(output_, reorders_);
    backward_columns_ = planner.temporary(columns_layout());
    const dnnl::memory weights = planner.temporary(weights_by_window());
    const dnnl::memory as_product = planner.same_memory(weights, matrix(filters, windows_.width()));
    const Tensor gradients = as_matrix(planner, output_gradient_, filters);
    const Tensor turned = as_transposed(planner, output_gradient_, filters);
    if (input_.needs_gradient) {
      input_gradient_ = planner.allocate(input_.shape, input_.layout);
      planner.set_gradient(input_, input_gradient_);
    }
    for (int lane = 0; lane < planner.lanes(); ++lane) {
      const auto index = static_cast<std::size_t>(lane);
      add_product(planner, to_weights_, lane,
                  {.left = turned.lanes[index], .right = backward_columns_, .result = as_product});
      planner.add_reorder(to_weights_, lane, weights,
                          planner.gradient_of_weight(weight_, weights_plain(), lane));
      if (input_.needs_gradient) {
        planner.add_reorder(to_columns_, lane, planner.weight(weight_, weights_plain(), lane), weights);
        add_product(planner, to_columns_, lane,
                    {.left = gradients.lanes[index], .right = as_product, .result = backward_columns_});
      }
      if (!bias_.empty()) {
        bias_gradients_.push_back(planner.parameters().gradient(bias_, lane));
      }
    }
  }

  Status forward(const Step& step) override {
    step.for_active_lanes([&](int lane) {
      gather_rows(step, lane, columns_);
      forward_.run_lane(step, lane);
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    step.for_active_lanes([&](int lane) {
      gather_rows(step, lane, backward_columns_);
      to_weights_.run_lane(step, lane);
      if (input_.needs_gradient) {
        to_columns_.run_lane(step, lane);
        for_rows(step, backward_columns_, [&](std::int64_t row, const float* columns) {
          scatter(windows_, columns,
                  input_gradient_.data(lane) + row * windows_.positions * windows_.features);
        });
      }
      if (!bias_.empty()) {
        column_sums(output_gradient_.data(lane), rows_ * windows_.count, windows_.conv.filters,
                    bias_gradients_[static_cast<std::size_t>(lane)]);
      }
    });
    return {};
  }

 private:
  Layout columns_layout() const { return matrix(rows_ * windows_.count, windows_.width()); }
  Shape filter() const { return {windows_.features, windows_.conv.kernel}; }
  Layout weights_plain() const { return plain_layout(windows_.conv.filters, filter()); }
  // The features of each of the window's positions together, as the columns have them.
  Layout weights_by_window() const {
    return {{windows_.conv.filters, windows_.features, windows_.conv.kernel},
            dnnl::memory::data_type::f32,
            dnnl::memory::dims{windows_.width(), 1, windows_.features}};
  }

  template <class Function>
  void for_rows(const Step& step, const dnnl::memory& columns, const Function& function) const {
    auto* const floats = static_cast<float*>(columns.get_data_handle());
    parallel_for(rows_, step.threads,
                 [&](std::int64_t row) { function(row, floats + row * windows_.count * windows_.width()); });
  }
  void gather_rows(const Step& step, int lane, const dnnl::memory& columns) const {
    for_rows(step, columns, [&](std::int64_t row, float* row_columns) {
      gather(windows_, input_.data(lane) + row * windows_.positions * windows_.features, row_columns);
    });
  }

  std::string weight_;
  std::string bias_;  // empty: none
  std::int64_t rows_;
  Windows windows_;
  Tensor input_;
  Tensor output_;
  dnnl::memory columns_;
  dnnl::memory backward_columns_;  // the columns, then their gradients
  Tensor output_gradient_;
  Tensor input_gradient_;
  std::vector<float*> bias_gradients_;
  CallSequence forward_;
  CallSequence reorders_;
  CallSequence to_weights_;
  CallSequence to_columns_;
};

}  // namespace

Planned plan_operation(Planner& planner, const std::string& name, const Conv1d& conv, const Tensor& input) {
  auto operation = std::make_unique<Conv1dOperation>(planner, name, conv, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta

// A table that is added position by position; its gradient is the sum over the rows.
#include "models/cuda/column_sums.h"
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

// A row of the work is one lane at one point; tables are [lanes][positions][channels].
template <class Element, int Size>
__global__ void add_tables(RowWork work, std::int64_t positions, std::int64_t lanes,
                           const Element* __restrict__ values, const Element* __restrict__ tables,
                           Element* __restrict__ results) {
  const std::int64_t channels = std::int64_t{work.pieces} * Size;
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::int64_t point = row / lanes;
    const std::int64_t lane = row - point * lanes;
    const std::int64_t column = std::int64_t{piece} * Size;
    Floats<Size> sums = load<Size>(values + row * channels + column);
    const Floats<Size> table =
        load<Size>(tables + (lane * positions + point % positions) * channels + column);
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      sums.at[i] += table.at[i];
    }
    store(sums, results + row * channels + column);
  });
}

// [positions][lanes][channels] to [lanes][positions][channels].
__global__ void sort_by_lane(RowWork work, std::int64_t positions, std::int64_t lanes,
                             const float* __restrict__ values, float* __restrict__ results) {
  each_piece(work, [&](std::int64_t row, std::uint32_t channel) {
    const std::int64_t position = row / lanes;
    const std::int64_t lane = row - position * lanes;
    results[(lane * positions + position) * work.pieces + channel] = values[row * work.pieces + channel];
  });
}

class PositionEmbeddingOperation final : public Operation {
 public:
  PositionEmbeddingOperation(Planner& planner, const std::string& name, Tensor input)
      : table_(planner.parameters().product_weight(name + ".weight")),
        table_gradient_(planner.parameters().gradient(name + ".weight")),
        input_(std::move(input)),
        output_(planner.allocate_like(input_, input_.type)) {
    CHECK(input_.lanes == planner.lanes() && input_.type == planner.type());
    planner.use(input_);
    output_.needs_gradient = true;
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    column_sums_.emplace(planner, input_.rows, row_size(), row_size(), input_.type);
    if (input_.lanes > 1) {
      sums_ = planner.allocate_values(row_size(), ElementType::f32);
    }
    if (input_.needs_gradient) {
      planner.set_gradient(input_, output_gradient_);
    }
    return {};
  }

  Status forward(const Step& step) override {
    with_packs(input_.type, input_.channels(), [&](auto element, auto size) {
      using Element = decltype(element);
      const RowWork work = row_work(input_.points() * input_.lanes, input_.channels() / size());
      launch(add_tables<Element, size()>, launch_shape(work), step.stream, work, input_.positions(),
             input_.lanes, step.data<Element>(input_), static_cast<const Element*>(table_),
             step.data<Element>(output_));
    });
    return {};
  }

  Status backward(const Step& step) override {
    float* const sums = input_.lanes > 1 ? step.data<float>(sums_) : table_gradient_;
    column_sums_->enqueue(step, step.data(output_gradient_), sums);
    if (input_.lanes > 1) {
      const RowWork work = row_work(input_.positions() * input_.lanes, input_.channels());
      launch(sort_by_lane, launch_shape(work), step.stream, work, input_.positions(), input_.lanes, sums,
             table_gradient_);
    }
    return {};
  }

 private:
  std::int64_t row_size() const { return input_.positions() * input_.width(); }  // of all lanes

  const void* table_;
  float* table_gradient_;
  Tensor input_;
  Tensor output_;
  Tensor output_gradient_;
  std::optional<ColumnSums> column_sums_;
  Tensor sums_;  // [positions][lanes][channels]
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string& name, const PositionEmbedding&,
                               const Tensor& input) {
  auto operation = std::make_unique<PositionEmbeddingOperation>(planner, name, input);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

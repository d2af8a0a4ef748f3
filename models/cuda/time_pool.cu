// A sequence to one of its positions, or to their mean.
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

// [rows][positions][width] to [rows][width]: the mean from position `first` on.
template <class Element, int Size>
__global__ void pool(RowWork work, std::int64_t first, std::int64_t positions,
                     const Element* __restrict__ values, Element* __restrict__ results) {
  const float share = 1 / static_cast<float>(positions - first);
  const std::int64_t width = std::int64_t{work.pieces} * Size;
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::int64_t column = std::int64_t{piece} * Size;
    Floats<Size> sums = {};
    for (std::int64_t t = first; t < positions; ++t) {
      const Floats<Size> v = load<Size>(values + (row * positions + t) * width + column);
#pragma unroll
      for (int i = 0; i < Size; ++i) {
        sums.at[i] += v.at[i];
      }
    }
#pragma unroll
    for (int i = 0; i < Size; ++i) {
      sums.at[i] *= share;
    }
    store(sums, results + row * width + column);
  });
}

// Rows of the work are points here.
template <class Element, int Size>
__global__ void spread(RowWork work, std::int64_t first, std::int64_t positions,
                       const Element* __restrict__ gradients, Element* __restrict__ results) {
  const float share = 1 / static_cast<float>(positions - first);
  const std::int64_t width = std::int64_t{work.pieces} * Size;
  each_piece(work, [&](std::int64_t point, std::uint32_t piece) {
    const std::int64_t column = std::int64_t{piece} * Size;
    const std::int64_t row = point / positions;
    Floats<Size> values = {};
    if (point - row * positions >= first) {
      values = load<Size>(gradients + row * width + column);
#pragma unroll
      for (int i = 0; i < Size; ++i) {
        values.at[i] *= share;
      }
    }
    store(values, results + point * width + column);
  });
}

class TimePoolOperation final : public Operation {
 public:
  TimePoolOperation(Planner& planner, const TimePool& pool, Tensor input)
      : input_(std::move(input)),
        first_(pool.kind == TimePool::Kind::last ? input_.positions() - 1 : 0),
        output_(planner.allocate({input_.channels()}, input_.type)) {
    CHECK(input_.lanes == planner.lanes());
    planner.use(input_);
    output_.needs_gradient = input_.needs_gradient;
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    with_packs(input_.type, input_.width(), [&](auto element, auto size) {
      using Element = decltype(element);
      const RowWork work = row_work(input_.rows, input_.width() / size());
      launch(pool<Element, size()>, launch_shape(work), step.stream, work, first_, input_.positions(),
             step.data<Element>(input_), step.data<Element>(output_));
    });
    return {};
  }

  Status backward(const Step& step) override {
    with_packs(input_.type, input_.width(), [&](auto element, auto size) {
      using Element = decltype(element);
      const RowWork work = row_work(input_.points(), input_.width() / size());
      launch(spread<Element, size()>, launch_shape(work), step.stream, work, first_, input_.positions(),
             step.data<Element>(output_gradient_), step.data<Element>(input_gradient_));
    });
    return {};
  }

 private:
  Tensor input_;
  std::int64_t first_;  // position that counts
  Tensor output_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_operation(Planner& planner, const std::string&, const TimePool& pool,
                               const Tensor& input) {
  auto operation = std::make_unique<TimePoolOperation>(planner, pool, input);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

// The mean or the largest value of each channel of an image. The largest one's place is remembered, so that
// backward knows where its gradient goes.
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/pooling.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

// A piece is a pack of channels of a sample.
template <int Size, class Element>
__global__ void average_image(RowWork work, std::uint32_t points, const Element* __restrict__ input,
                              Element* __restrict__ output) {
  const float share = 1.0F / static_cast<float>(points);
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    Floats<Size> sums = {};
    for (std::uint32_t point = 0; point < points; ++point) {
      add(load<Size>(input + ((row * points + point) * work.pieces + piece) * Size), sums);
    }
    scale(share, sums);
    store(sums, output + (row * work.pieces + piece) * Size);
  });
}

template <int Size, class Element>
__global__ void largest_of_image(RowWork work, std::uint32_t points, const Element* __restrict__ input,
                                 Element* __restrict__ output, std::uint32_t* __restrict__ places) {
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    Largest<Size> largest(load<Size>(input + (row * points * work.pieces + piece) * Size));
    for (std::uint32_t point = 1; point < points; ++point) {
      largest.take(load<Size>(input + ((row * points + point) * work.pieces + piece) * Size), point);
    }
    const std::int64_t at = (row * work.pieces + piece) * Size;
    store(largest.values, output + at);
    if (places != nullptr) {
      largest.store_places(places + at);
    }
  });
}

// A piece is a pack of a point. `places` are null with averages.
template <int Size, class Element>
__global__ void spread_over_image(RowWork work, std::uint32_t points,
                                  const Element* __restrict__ output_gradient,
                                  const std::uint32_t* __restrict__ places,
                                  Element* __restrict__ input_gradient) {
  const std::uint32_t packs = work.pieces / points;
  const float share = 1.0F / static_cast<float>(points);
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::int64_t at = (row * packs + piece % packs) * Size;
    Floats<Size> gradients = load<Size>(output_gradient + at);
    if (places == nullptr) {
      scale(share, gradients);
    } else {
      Floats<Size> chosen = {};
      add_where(places + at, piece / packs, gradients, chosen);
      gradients = chosen;
    }
    store(gradients, input_gradient + (row * work.pieces + piece) * Size);
  });
}

class GlobalPoolOperation final : public Operation {
 public:
  GlobalPoolOperation(Planner& planner, const GlobalPool& pool, const Tensor& input)
      : kind_(pool.kind), input_(input) {
    planner.use(input_);
    output_ = planner.allocate({input_.channels()}, input_.type);
    output_.needs_gradient = input_.needs_gradient;
    CHECK(output_.lanes == input_.lanes);
    if (kind_ == Pool::Kind::max && planner.phase() == Phase::train && input_.needs_gradient) {
      places_ = planner.allocate_values(output_.size(), ElementType::f32);
    }
  }

  const Tensor& output() const { return output_; }

  Status plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient(output_);
    planner.use(output_gradient_);
    if (places_) {
      planner.use(*places_);
    }
    input_gradient_ = planner.allocate_like(input_, input_.type);
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    with_packs(input_.type, input_.width(), [&](auto element, auto size) {
      using Element = decltype(element);
      constexpr int kSize = decltype(size)::value;
      const RowWork work = row_work(input_.rows, input_.width() / kSize);
      const auto* const input = step.data<const Element>(input_);
      auto* const output = step.data<Element>(output_);
      if (kind_ == Pool::Kind::average) {
        launch(average_image<kSize, Element>, launch_shape(work), step.stream, work, points(), input, output);
      } else {
        launch(largest_of_image<kSize, Element>, launch_shape(work), step.stream, work, points(), input,
               output, places_ ? step.data<std::uint32_t>(*places_) : nullptr);
      }
    });
    return {};
  }

  Status backward(const Step& step) override {
    with_packs(input_.type, input_.width(), [&](auto element, auto size) {
      using Element = decltype(element);
      constexpr int kSize = decltype(size)::value;
      const RowWork work = row_work(input_.rows, input_.positions() * (input_.width() / kSize));
      launch(spread_over_image<kSize, Element>, launch_shape(work), step.stream, work, points(),
             step.data<const Element>(output_gradient_),
             places_ ? step.data<const std::uint32_t>(*places_) : nullptr,
             step.data<Element>(input_gradient_));
    });
    return {};
  }

 private:
  std::uint32_t points() const { return static_cast<std::uint32_t>(input_.positions()); }

  Pool::Kind kind_;
  Tensor input_;
  Tensor output_;
  std::optional<Tensor> places_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_global_pool(Planner& planner, const GlobalPool& pool, const Tensor& input) {
  auto operation = std::make_unique<GlobalPoolOperation>(planner, pool, input);
  Tensor output = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(output)};
}

}  // namespace regatta::cuda

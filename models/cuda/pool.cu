// The largest or mean value of each window. Max pooling remembers where the largest value was; on the way
// back each input gathers from the windows that it lies in, so that overlapping windows need no atomic sums.
// Behind a relu it does the relu's way back as well.
#include "models/cuda/elements.h"
#include "models/cuda/launch.h"
#include "models/cuda/operations.h"
#include "models/cuda/pooling.h"
#include "models/cuda/row_work.h"

namespace regatta::cuda {
namespace {

struct Windows {
  std::uint32_t height = 0, width = 0;  // of the input, in points
  std::uint32_t output_height = 0, output_width = 0;
  std::uint32_t packs = 0;  // of a point
  std::uint32_t size = 0, stride = 0;
};

// A piece is a pack of channels of an output's point; rows are samples. Place: of the largest within its
// window.
template <int Size, class Element, class Place>
__global__ void pool_largest(RowWork work, Windows windows, const Element* __restrict__ input,
                             Element* __restrict__ output, Place* __restrict__ places, bool drops_zeros) {
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::uint32_t pack = piece % windows.packs;
    const std::uint32_t x = piece / windows.packs % windows.output_width;
    const std::uint32_t y = piece / windows.packs / windows.output_width;
    const std::int64_t first =
        ((row * windows.height + y * windows.stride) * windows.width + x * windows.stride) * windows.packs +
        pack;
    Largest<Size> largest(load<Size>(input + first * Size));
    for (std::uint32_t i = 0; i < windows.size; ++i) {
      for (std::uint32_t j = i == 0 ? 1 : 0; j < windows.size; ++j) {
        const std::int64_t at = first + (static_cast<std::int64_t>(i) * windows.width + j) * windows.packs;
        largest.take(load<Size>(input + at * Size), i * windows.size + j);
      }
    }
    const std::int64_t at = (row * work.pieces + piece) * Size;
    store(largest.values, output + at);
    if (places != nullptr) {
      largest.store_places(places + at, drops_zeros);
    }
  });
}

template <int Size, class Element>
__global__ void pool_average(RowWork work, Windows windows, const Element* __restrict__ input,
                             Element* __restrict__ output) {
  const float share = 1.0F / static_cast<float>(windows.size * windows.size);
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::uint32_t pack = piece % windows.packs;
    const std::uint32_t x = piece / windows.packs % windows.output_width;
    const std::uint32_t y = piece / windows.packs / windows.output_width;
    const std::int64_t first =
        ((row * windows.height + y * windows.stride) * windows.width + x * windows.stride) * windows.packs +
        pack;
    Floats<Size> sums = {};
    for (std::uint32_t i = 0; i < windows.size; ++i) {
      for (std::uint32_t j = 0; j < windows.size; ++j) {
        const std::int64_t at = first + (static_cast<std::int64_t>(i) * windows.width + j) * windows.packs;
        add(load<Size>(input + at * Size), sums);
      }
    }
    scale(share, sums);
    store(sums, output + (row * work.pieces + piece) * Size);
  });
}

// A piece is a pack of an input's point, which lies in the windows from the first one that reaches it to the
// last one that begins at or before it. `places` are null with averages.
template <int Size, class Element, class Place>
__global__ void pool_backward(RowWork work, Windows windows, const Element* __restrict__ output_gradient,
                              const Place* __restrict__ places, Element* __restrict__ input_gradient) {
  const float share = 1.0F / static_cast<float>(windows.size * windows.size);
  each_piece(work, [&](std::int64_t row, std::uint32_t piece) {
    const std::uint32_t pack = piece % windows.packs;
    const std::uint32_t x = piece / windows.packs % windows.width;
    const std::uint32_t y = piece / windows.packs / windows.width;
    const WindowRange down(y, windows.size, windows.stride, windows.output_height);
    const WindowRange across(x, windows.size, windows.stride, windows.output_width);
    Floats<Size> sums = {};
    for (std::uint32_t i = down.first; i < down.end; ++i) {
      for (std::uint32_t j = across.first; j < across.end; ++j) {
        const std::int64_t at =
            (((row * windows.output_height + i) * windows.output_width + j) * windows.packs + pack) * Size;
        const Floats<Size> gradients = load<Size>(output_gradient + at);
        if (places == nullptr) {
          add(gradients, sums);
        } else {
          add_where(places + at, (y - i * windows.stride) * windows.size + (x - j * windows.stride),
                    gradients, sums);
        }
      }
    }
    if (places == nullptr) {
      scale(share, sums);
    }
    store(sums, input_gradient + (row * work.pieces + piece) * Size);
  });
}

class PoolOperation final : public Operation {
 public:
  PoolOperation(Planner& planner, const Pool& pool, const Tensor& input, const Shape& output)
      : pool_(pool), input_(input) {
    planner.use(input_);
    output_ = planner.allocate(output, input_.type);
    output_.needs_gradient = input_.needs_gradient;
    CHECK(output_.lanes == input_.lanes);
    if (remembers(planner.phase())) {
      places_ = planner.allocate_values(output_.size() * place_bytes() / bytes_of(ElementType::f32) + 1,
                                        ElementType::f32);
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
    input_gradient_.is_masked = places_.has_value() && input_.is_relu_output;
    planner.set_gradient(input_, input_gradient_);
    return {};
  }

  Status forward(const Step& step) override {
    with_packs(input_.type, input_.width(), [&](auto element, auto size) {
      using Element = decltype(element);
      constexpr int kSize = decltype(size)::value;
      const Windows shape = windows(kSize);
      const RowWork work = row_work(output_.rows, output_.positions() * shape.packs);
      const auto* const input = step.data<const Element>(input_);
      auto* const output = step.data<Element>(output_);
      if (pool_.kind == Pool::Kind::average) {
        launch(pool_average<kSize, Element>, launch_shape(work), step.stream, work, shape, input, output);
        return;
      }
      with_place([&](auto place) {
        using Place = decltype(place);
        auto* const places = places_ ? step.data<Place>(*places_) : nullptr;
        launch(pool_largest<kSize, Element, Place>, launch_shape(work), step.stream, work, shape, input,
               output, places, input_.is_relu_output);
      });
    });
    return {};
  }

  Status backward(const Step& step) override {
    with_packs(input_.type, input_.width(), [&](auto element, auto size) {
      using Element = decltype(element);
      constexpr int kSize = decltype(size)::value;
      const Windows shape = windows(kSize);
      const RowWork work = row_work(input_.rows, input_.positions() * shape.packs);
      with_place([&](auto place) {
        using Place = decltype(place);
        const auto* const places = places_ ? step.data<const Place>(*places_) : nullptr;
        launch(pool_backward<kSize, Element, Place>, launch_shape(work), step.stream, work, shape,
               step.data<const Element>(output_gradient_), places, step.data<Element>(input_gradient_));
      });
    });
    return {};
  }

 private:
  bool remembers(Phase phase) const {
    return pool_.kind == Pool::Kind::max && phase == Phase::train && input_.needs_gradient;
  }
  std::int64_t place_bytes() const { return pool_.size * pool_.size < 256 ? 1 : 4; }
  template <class Function>
  void with_place(const Function& function) const {
    if (place_bytes() == 1) {
      function(std::uint8_t());
    } else {
      function(std::uint32_t());
    }
  }

  Windows windows(int pack) const {
    const auto narrow = [](std::int64_t size) { return static_cast<std::uint32_t>(size); };
    return {.height = narrow(input_.shape[1]),
            .width = narrow(input_.shape[2]),
            .output_height = narrow(output_.shape[1]),
            .output_width = narrow(output_.shape[2]),
            .packs = narrow(input_.width() / pack),
            .size = narrow(pool_.size),
            .stride = narrow(pool_.stride)};
  }

  Pool pool_;
  Tensor input_;
  Tensor output_;
  std::optional<Tensor> places_;
  Tensor output_gradient_;
  Tensor input_gradient_;
};

}  // namespace

Result<Planned> plan_pool(Planner& planner, const Pool& pool, const Tensor& input, const Shape& output) {
  auto operation = std::make_unique<PoolOperation>(planner, pool, input, output);
  Tensor result = operation->output();
  return Planned{.operation = std::move(operation), .output = std::move(result)};
}

}  // namespace regatta::cuda

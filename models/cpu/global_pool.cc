// The mean or the largest value of each channel of an image. The largest one's place is remembered, so that
// backward only scatters.
#include <algorithm>

#include "base/multiversion.h"
#include "models/cpu/channel_layout.h"
#include "models/cpu/operations.h"
#include "models/cpu/parallel.h"

namespace regatta {
namespace {

using Index = std::int32_t;  // of a pixel

// One block of channels of one row: `pixels` × `block` values become `block`.
REGATTA_MULTIVERSION
void average(const float* __restrict values, const ChannelLayout& layout, float* __restrict means) {
  std::fill_n(means, layout.block, 0.0F);
  for (std::int64_t pixel = 0; pixel < layout.pixels; ++pixel) {
#pragma omp simd
    for (std::int64_t c = 0; c < layout.block; ++c) {
      means[c] += values[pixel * layout.block + c];
    }
  }
  const float share = 1 / static_cast<float>(layout.pixels);
  for (std::int64_t c = 0; c < layout.block; ++c) {
    means[c] *= share;
  }
}

// The first of equals.
REGATTA_MULTIVERSION
void largest(const float* __restrict values, const ChannelLayout& layout, float* __restrict best,
             Index* __restrict places) {
  std::copy_n(values, layout.block, best);
  std::fill_n(places, layout.block, 0);
  for (std::int64_t pixel = 1; pixel < layout.pixels; ++pixel) {
#pragma omp simd
    for (std::int64_t c = 0; c < layout.block; ++c) {
      const float value = values[pixel * layout.block + c];
      places[c] = value > best[c] ? static_cast<Index>(pixel) : places[c];
      best[c] = value > best[c] ? value : best[c];
    }
  }
}

REGATTA_MULTIVERSION
void spread(const float* __restrict gradients, const ChannelLayout& layout, float* __restrict results) {
  const float share = 1 / static_cast<float>(layout.pixels);
  for (std::int64_t pixel = 0; pixel < layout.pixels; ++pixel) {
#pragma omp simd
    for (std::int64_t c = 0; c < layout.block; ++c) {
      results[pixel * layout.block + c] = gradients[c] * share;
    }
  }
}

REGATTA_MULTIVERSION
void scatter(const float* __restrict gradients, const Index* __restrict places, const ChannelLayout& layout,
             float* __restrict results) {
  for (std::int64_t pixel = 0; pixel < layout.pixels; ++pixel) {
#pragma omp simd
    for (std::int64_t c = 0; c < layout.block; ++c) {
      results[pixel * layout.block + c] = places[c] == pixel ? gradients[c] : 0.0F;
    }
  }
}

class GlobalPoolOperation final : public Operation {
 public:
  GlobalPoolOperation(Planner& planner, const GlobalPool& pool, Tensor input)
      : keeps_largest_(pool.kind == Pool::Kind::max),
        input_(std::move(input)),
        layout_(channel_layout(input_.layout)) {
    planner.use(input_);
    const Shape channels = {input_.shape[0]};
    output_ = planner.allocate(channels, plain_layout(planner.rows(), channels));
    output_.needs_gradient = input_.needs_gradient;
    blocks_ = layout_.rows * layout_.blocks;
    // A row's last block may be padded beyond the channels, so blocks are worked on in memory of their own.
    const auto padded = static_cast<std::size_t>(blocks_ * layout_.block);
    pooled_ = planner.allocate_bytes(padded * sizeof(float));
    if (keeps_largest_) {
      places_ = planner.allocate_bytes(padded * sizeof(Index));
    }
  }

  const Tensor& output() const { return output_; }

  void plan_backward(Planner& planner) override {
    output_gradient_ = planner.gradient_like(output_, reorders_);
    padded_gradient_ =
        planner.allocate_bytes(static_cast<std::size_t>(blocks_ * layout_.block) * sizeof(float));
    if (keeps_largest_) {
      planner.use(places_);
    }
    input_gradient_ = planner.allocate(input_.shape, input_.layout);
    planner.set_gradient(input_, input_gradient_);
  }

  Status forward(const Step& step) override {
    for_blocks(step, [&](int lane, std::int64_t block, std::int64_t at, std::int64_t size) {
      const float* const values = input_.data(lane) + block * layout_.pixels * layout_.block;
      float* const pooled = pooled_.data(lane) + block * layout_.block;
      if (keeps_largest_) {
        largest(values, layout_, pooled, places(lane) + block * layout_.block);
      } else {
        average(values, layout_, pooled);
      }
      std::copy_n(pooled, size, output_.data(lane) + at);
    });
    return {};
  }

  Status backward(const Step& step) override {
    reorders_.run(step);
    for_blocks(step, [&](int lane, std::int64_t block, std::int64_t at, std::int64_t size) {
      float* const gradients = padded_gradient_.data(lane) + block * layout_.block;
      std::fill(std::copy_n(output_gradient_.data(lane) + at, size, gradients), gradients + layout_.block,
                0.0F);
      float* const results = input_gradient_.data(lane) + block * layout_.pixels * layout_.block;
      if (keeps_largest_) {
        scatter(gradients, places(lane) + block * layout_.block, layout_, results);
      } else {
        spread(gradients, layout_, results);
      }
    });
    return {};
  }

 private:
  Index* places(int lane) const {
    return static_cast<Index*>(places_.lanes[static_cast<std::size_t>(lane)].get_data_handle());
  }

  // function(lane, block over all rows, its first element of the output, how many it has)
  template <class Function>
  void for_blocks(const Step& step, const Function& function) const {
    step.for_active_lanes([&](int lane) {
      parallel_for(blocks_, step.threads, [&](std::int64_t i) {
        const std::int64_t row = i / layout_.blocks;
        const std::int64_t first = i % layout_.blocks * layout_.block;
        function(lane, i, row * layout_.channels + first, std::min(layout_.block, layout_.channels - first));
      });
    });
  }

  bool keeps_largest_;
  Tensor input_;
  ChannelLayout layout_;
  std::int64_t blocks_ = 0;
  Tensor output_;
  Tensor pooled_;
  Tensor places_;  // with max
  Tensor output_gradient_;
  Tensor padded_gradient_;
  Tensor input_gradient_;
  CallSequence reorders_;
};

}  // namespace

Planned plan_global_pool(Planner& planner, const GlobalPool& pool, const Tensor& input) {
  auto operation = std::make_unique<GlobalPoolOperation>(planner, pool, input);
  Tensor output = operation->output();
  return {std::move(operation), std::move(output)};
}

}  // namespace regatta
